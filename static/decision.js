// After a new decision: the verdict has the focus, and a second Enter meant for the form does nothing.
const ENTER_IGNORED_MS = 1000;
const arrived = performance.now();
document.getElementById("verdict").focus();
addEventListener("keydown", (event) => {
  if (event.key === "Enter" && performance.now() - arrived < ENTER_IGNORED_MS) event.preventDefault();
}, true);
