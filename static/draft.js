// What is typed into an application stays in its tab, under the token of its form, which stands in the
// address. So a reload, a change of language, signing in again and Back find it; any other form is empty.
const KEPT = 5;

const fields = (form) => [...form.elements].filter((field) => field.name && field.type !== "hidden");
const values = (form) => fields(form)
  .filter((field) => field.type === "radio" ? field.checked : field.value !== "")
  .map((field) => [field.name, field.value]);
const fill = (form, typed) => {
  for (const field of fields(form)) field.type === "radio" ? field.checked = false : field.value = "";
  for (const [name, value] of typed) if (form.elements[name]) form.elements[name].value = value;
  form.dispatchEvent(new Event("restored"));
  form.dispatchEvent(new Event("input"));
};

const drop = (token) => forget((draft) => draft.token === token);
const keep = (form, sent) => {
  const typed = values(form);
  const token = form.elements.submission.value;
  if (!typed.length) return drop(token);
  const draft = { owner: form.elements["opened-by"].value, saved: Date.now(), sent, typed, corrects: form.elements.corrects.value };
  try { sessionStorage.setItem(PREFIX + token, JSON.stringify(draft)); } catch { return drop(token); } // full, or switched off
  drafts().slice(KEPT).forEach((old) => drop(old.token));
};

const offer = () => {
  const [draft] = drafts();
  const note = document.getElementById("draft-kept");
  if (!draft) return;
  note.querySelector("time").textContent = new Date(draft.saved).toLocaleTimeString(document.documentElement.lang === "fr" ? "fr-FR" : "en-GB", { hour: "2-digit", minute: "2-digit" });
  const { token: form, corrects } = draft;
  note.querySelector("a").href = `?${new URLSearchParams({ form, ...(corrects && { corrects }) })}`;
  note.hidden = false;
};

const restore = (form) => {
  const wanted = new URLSearchParams(location.search).get("form");
  const draft = wanted && read(wanted);
  if ("sentBefore" in form.dataset) return keep(form, false); // shown again with what was sent
  const { value: corrects } = form.elements.corrects;
  // A correction begins with the answers of one decision, so its draft belongs to that decision alone.
  if (!draft || draft.corrects !== corrects) return corrects || offer();
  form.elements.submission.value = wanted;
  fill(form, draft.typed);
  document.getElementById("draft-restored").hidden = false;
  keep(form, false);
};

const follow = (form) => {
  forget((draft) => draft.owner !== form.elements["opened-by"].value);
  restore(form);
  const here = new URLSearchParams(location.search);
  here.set("form", form.elements.submission.value);
  history.replaceState(null, "", `?${here}`);
  form.addEventListener("input", () => keep(form, false));
  form.addEventListener("submit", () => keep(form, true));
  document.getElementById("start-over").addEventListener("click", () => drop(form.elements.submission.value));
  // Back may show the page as it was left, although its application has been decided.
  addEventListener("pageshow", (event) => {
    if (event.persisted && values(form).length && !read(form.elements.submission.value)) location.replace(location.pathname);
  });
};

follow(document.getElementById("application"));
