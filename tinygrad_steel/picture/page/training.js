// Training: a second slider through the frames of a record. (Hooks only, until it is written.)

const overlay = (i) => null; // array i as it is in frame state.frame (the same object each time), or null: as in data.arrays
const scaleOf = (a) => 0; // what has full colour in all frames, or 0: the array's own reach
function renderTraining() {} // called by render()
function buildTraining() {} // called at the start
