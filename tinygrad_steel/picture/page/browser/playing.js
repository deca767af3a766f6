// Playing: of the steps, or of the frames of a training; one of them at a time.

const PLAYERS = {
  steps: { now: () => state.step, last: LAST, show: showStep, wait: 1300, said: ["play (space)", "pause (space)"] },
  frames: { now: () => state.frame, last: LAST_FRAME, show: showFrame, wait: 500, said: ["play the training (shift space)", "pause the training (shift space)"] },
};
const playButtons = {};
let timer = 0;

function playButton(what) {
  playButtons[what] = iconButton("play", PLAYERS[what].said[0], () => play(what));
  return playButtons[what];
}
function play(what) {
  // Begins, and where it is playing, ends.
  if (state.playing === what) return pause(what);
  pause(state.playing);
  begin(what);
}
function begin(what) {
  const { now, last, show, wait } = PLAYERS[what];
  state.playing = what;
  renderPlaying();
  if (now() === last) show(0);
  timer = setInterval(() => {
    show(now() + 1);
    if (now() === last) pause(what);
  }, wait / state.speed);
}
function pause(what) {
  if (!what || state.playing !== what) return;
  clearInterval(timer);
  state.playing = null;
  renderPlaying();
}
function setSpeed(speed) {
  state.speed = speed;
  const what = state.playing;
  pause(what);
  if (what) begin(what);
}
function renderPlaying() {
  for (const [what, button] of Object.entries(playButtons)) {
    const playing = state.playing === what;
    button.replaceChildren(icon(playing ? "pause" : "play"));
    button.setAttribute("aria-label", PLAYERS[what].said[playing ? 1 : 0]);
  }
}
