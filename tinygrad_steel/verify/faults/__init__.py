"""Why a gradient is wrong: one small function for each kind of mistake.

`rounds.py` has the table of all kinds, in the order in which they are tried. A new one is a
function in the file of its theme, and a line in that table.
"""
