// Comparison with a learner's backprop: verdicts at cards, lines and steps. (Hooks only, until it is written.)

const verdictOf = (id) => null; // a row of the compared chain, of this card's gradient
const verdictOfLine = (i) => null; // "right", "wrong", "follows", "not-judged", or null
const verdictSteps = () => []; // [step, verdict]: marks above the rail
const comparisonOf = (card) => []; // what the panel says first
const comparedMaps = (card, room) => null; // heatmaps instead of value and gradient
function renderComparison() {} // banner, own source; called by render()
function buildComparison() {} // the choice of a chain; called at the start
