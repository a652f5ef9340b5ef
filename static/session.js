// On every page: the drafts that a tab keeps, and what ends them. When somebody signs out in one tab, every
// other tab forgets its drafts too and leads to the sign-in.
const PREFIX = "draft:";
const channel = new BroadcastChannel("loan-desk");

const read = (token) => {
  try { return JSON.parse(sessionStorage.getItem(PREFIX + token)); } catch { return null; }
};
const drafts = () => {
  let keys;
  try { keys = Object.keys(sessionStorage); } catch { return []; } // storage is switched off: nothing is kept
  return keys.filter((key) => key.startsWith(PREFIX))
    .map((key) => ({ token: key.slice(PREFIX.length), ...read(key.slice(PREFIX.length)) }))
    .sort((a, b) => b.saved - a.saved);
};
const forget = (which) => drafts().filter(which).forEach((draft) => sessionStorage.removeItem(PREFIX + draft.token));

channel.addEventListener("message", () => {
  forget(() => true);
  const here = new URL(location);
  here.searchParams.delete("form");
  here.hash = "";
  location.replace(here);
});

const { ends } = document.currentScript.dataset;
if (ends === "sent") forget((draft) => draft.sent);
else if (ends === "all") {
  forget(() => true);
  channel.postMessage("signed-out");
}
