// After an error the reader is taken to the summary. A form that is sent is not sent again at once, however often
// the button is pressed; it is after a while, because the request may have been stopped.
const SENT_AGAIN_AFTER_MS = 5000;
document.getElementById("summary")?.focus();
document.getElementById("application").addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) event.preventDefault();
  else setTimeout(() => delete form.dataset.sent, SENT_AGAIN_AFTER_MS);
  form.dataset.sent = "yes";
});
// Back from the decision: the browser may show the page as it was left.
addEventListener("pageshow", () => delete document.getElementById("application").dataset.sent);
