"""The table of all kinds of mistakes, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from . import (
    axes,
    convolutions,
    derivatives,
    functions,
    fused,
    indices,
    jacobians,
    masks,
    mixups,
    normalizations,
    normalized,
    parentheses,
    parts,
    poolings,
    powers,
    probabilities,
    products,
    recurrent,
    rows,
    samples,
    several,
    sides,
    solved,
    stand_ins,
    terms,
    ways,
    written_out,
)
from .question import Gradient, Mistake, Step


class Round(NamedTuple):
    """Kinds of mistakes that are tried for one gradient after the other: in the sum of its
    parts, and in one part.
    """

    sums: tuple[Callable[[Gradient], Iterator[Mistake]], ...] = ()
    steps: tuple[Callable[[Step], Iterator[Mistake]], ...] = ()


# Each round, and in it each kind, comes before what is less likely: what is found first is the
# reason given.
ROUNDS = (
    Round(sums=(written_out.written_out,)),  # else steps within it are blamed
    Round(sums=(convolutions.of_input, convolutions.of_kernel, poolings.of_pooling)),
    Round(sums=(normalized.statistics_constant, normalized.of_scale, parts.swapped)),
    Round(sums=(ways.known_factor,)),
    Round(
        sums=(ways.only_one, probabilities.without_jacobian),
        steps=(
            parts.other_part,
            derivatives.handed_on_unchanged,
            derivatives.shared_evenly,
            derivatives.alone,
            derivatives.factor_left_out,
            axes.sum_over_others,
            axes.other_product,
            indices.assigned_and_not_added,
            derivatives.taken_twice,
            samples.labels_turned,
            mixups.overwritten,
            terms.altered_value,
            mixups.other_value,
        ),
    ),
    Round(steps=(mixups.other_gradient,)),
    Round(sums=(functions.steps_left_out,)),
)
# Where none of these explains it, and it is no other gradient: more of them, for the nearest
# gradients; those of which there are many, for one of these after the other; and what is rare.
MORE = (
    Round(
        sums=(
            normalizations.added_before,
            solved.times_unknown,
            solved.updated_itself,
        ),
        steps=(
            jacobians.by_hand,
            products.elementwise_for_matrix,
            samples.labels_off_by_one,
            samples.one_sample,
            ways.counted_twice,
            axes.all_axes,
            functions.transposed_value,
        ),
    ),
    Round(sums=(functions.extra_factor,), steps=(functions.other_derivative,)),
)
MANY = (
    Round(
        steps=(
            functions.extra_factor_on_a_way,
            functions.other_derivative_alone,
            products.matrix_for_elementwise,
        ),
    ),
    Round(steps=(functions.other_argument,)),
    Round(steps=(functions.other_derivative_elsewhere,)),
)
RARE = (
    Round(
        sums=(
            sides.other_side,
            sides.sides_swapped,
            ways.value_itself,
            rows.one_row_for_all,
            rows.lines_of_a_way,
            recurrent.one_step_off,
            normalizations.sums_for_means,
        ),
        steps=(
            stand_ins.other_function,
            stand_ins.mean_for_sum,
            stand_ins.divided_for_multiplied,
            fused.through_shares,
            parentheses.parentheses_missing,
            powers.other_power,
            powers.other_exponent,
            products.matrix_in_derivative,
            rows.summed_from_another,
            rows.part_of_a_sum,
            samples.other_order,
            samples.some_samples,
        ),
    ),
    Round(
        sums=(recurrent.added_besides, functions.extra_row),
        steps=(stand_ins.broadcast_value, mixups.farther_value),
    ),
    Round(sums=(normalized.other_terms,)),
)
LAST = (Round(sums=(ways.any_factor,)),)
# Two slips at once, and what is said of where it differs, before there is nothing to say.
TWO = (
    Round(
        sums=(
            several.factor_on_each_way,
            several.one_slip_and_a_factor,
            several.slip_and_factor_on_a_way,
        ),
    ),
    Round(steps=(several.two_slips, masks.another_mask)),
    Round(sums=(sides.other_number, masks.only_where)),
)
