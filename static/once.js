// A form that is on its way is not sent again, as a double click would: the second answer, such as a name
// that is taken by now, would hide the first one, which shows a password, a key or codes only once.
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => document.querySelectorAll("form").forEach((form) => delete form.dataset.sent));
