// After an error the reader is taken to the summary; a form is sent once however often the button is pressed.
document.getElementById("summary")?.focus();
document.getElementById("application").addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
// Back from the decision: the browser may show the page as it was left.
addEventListener("pageshow", () => delete document.getElementById("application").dataset.sent);
