// Numbers of a draft are written as the language does. The figures beside the form, such as the instalment,
// follow what is typed; a screen reader hears of them when a field is left, not at every key.
const figures = document.getElementById("figures");
const locale = document.documentElement.lang === "fr" ? "fr-FR" : "en-GB";
const style = (share) => share
  ? { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }
  : { minimumFractionDigits: 2, maximumFractionDigits: 2 };

// As ml/product/formats.py reads and rounds amounts, and writes whole numbers.
const number = (text) => {
  const found = /^([+−-]?)(\d{1,18}|\d{1,3}([ ,'’\u00a0\u2009\u202f])\d{3}(?:\3\d{3}){0,4})(?:([.,])(\d\d))?$/.exec(text.trim());
  if (!found || (found[3] && found[3] === found[4])) return NaN;
  const sign = "−-".includes(found[1] || " ") ? "-" : "";
  return Math.sign(`${sign}1`) * Math.round(Number(`${found[2].replace(/\D/g, "")}.${found[5] ?? 0}`));
};

const written = (value, options) => new Intl.NumberFormat(locale, options).format(value).replace("-", "−");
const group = (form) => {
  for (const field of form.querySelectorAll("input[data-number]")) {
    if (Number.isFinite(number(field.value)) && !/[.,]\d\d$/.test(field.value.trim())) field.value = written(number(field.value));
  }
};

const compute = ({ sum, times, over }, form) => {
  const of = (name) => number(form.elements[name].value);
  const product = (names) => names.reduce((all, name) => all * of(name), 1);
  const total = Object.entries(sum).reduce((all, [name, weight]) => all + weight * of(name), 0);
  return total * product(times) / product(over);
};

const update = (form) => {
  for (const figure of figures.querySelectorAll("[data-formula]")) {
    const formula = JSON.parse(figure.dataset.formula);
    const value = compute(formula, form);
    figure.querySelector(".number").textContent = Number.isFinite(value)
      ? written(value, style(formula.share))
      : "–";
  }
  figures.hidden = false;
};

const say = () => {
  const text = [...figures.querySelectorAll("[data-formula]")].map((figure) => figure.innerText.replace(/\s+/g, " ")).join(". ");
  const said = document.getElementById("figures-said");
  if (said.textContent !== text) said.textContent = text;
};

const form = document.getElementById("application");
form.addEventListener("restored", () => group(form));
if (figures) {
  form.addEventListener("input", () => update(form));
  form.addEventListener("change", say);
  update(form);
}
