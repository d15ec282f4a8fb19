"use strict";
// Renews what is shown after each request to the sandbox, unless somebody is using the page.
let shown = document.body.dataset.revision, pause = 2000;
const isInUse = () => {
  const at = document.activeElement;
  return document.hidden || String(getSelection()) !== "" ||
    (at !== null && at !== document.body && at.id !== "main") ||
    document.querySelector("details[open]") !== null ||
    location.hash.startsWith("#/oauth/");
};
async function renew() {
  try {
    if (isInUse()) return;
    const now = await (await fetch("/_sandbox/revision")).json();
    if (now === shown) return;
    const begun = performance.now();
    const text = await (await fetch(location.pathname + location.search)).text();
    // A long table takes a while: it is asked for the less often.
    pause = Math.max(2000, 20 * (performance.now() - begun));
    if (isInUse()) return;
    const made = new DOMParser().parseFromString(text, "text/html");
    for (const part of ["header", "main"]) {
      document.querySelector(part).replaceWith(made.querySelector(part));
    }
    shown = made.body.dataset.revision;
  } catch {
    // The sandbox was stopped; what it showed last stays.
  } finally {
    setTimeout(renew, pause);
  }
}
// Apollo's consent page is at #/oauth/authorize?client_id=…&redirect_uri=…&scope=…&state=…
function consent() {
  const at = id => document.getElementById(id);
  const [route, query] = location.hash.split("?");
  if (route !== "#/oauth/authorize") return;
  const asked = Object.fromEntries(new URLSearchParams(query));
  at("scope").textContent = asked.scope || "everything";
  at("consent").hidden = false;
  at("allow").onclick = async () => {
    const answer = await fetch("/_sandbox/authorize",
      {method: "POST", body: JSON.stringify(asked)});
    const said = await answer.json();
    if (answer.ok) location.assign(said.location);
    else at("scope").textContent = said.error;
  };
}
addEventListener("hashchange", consent);
consent();
setTimeout(renew, pause);
