// Shows how far a batch is decided, and opens the page again when that has ended.
"use strict";
(() => {
  const PAUSE = 1000; // milliseconds
  const shown = document.getElementById("progress");

  async function look() {
    try {
      const answer = await fetch(location.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const progress = page.getElementById("progress");
      if (!answer.ok || !progress) {
        location.reload();
        return;
      }
      shown.replaceChildren(...progress.childNodes);
    } catch {
      // No answer: the service may be starting again.
    }
    setTimeout(look, PAUSE);
  }

  setTimeout(look, PAUSE);
})();
