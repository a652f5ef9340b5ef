// Dark where the person's system is dark; Bootstrap reads this attribute. Without it every page is light.
const dark = matchMedia("(prefers-color-scheme: dark)");
const apply = () => document.documentElement.dataset.bsTheme = dark.matches ? "dark" : "light";
dark.addEventListener("change", apply);
apply();
