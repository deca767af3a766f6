"""The typed program, which the type checker reads in CI (`.ci/run`), also runs."""

import typed_program


def test_the_program_runs(registry, capsys):
    typed_program.main()
    assert "weight" in capsys.readouterr().out
