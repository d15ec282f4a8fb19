"""The sandbox's own page: one file without outside resources, which reads the control surface.

Everything is put in as text, never as markup: contacts come from whoever is being tested.
"""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Apollo sandbox</title>
<style>
:root { color-scheme: light dark; --line: #d5d8de; --soft: #667; --card: #fff; --page: #f4f5f7;
  --ink: #1b1d22; --mark: #2f5fd0; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a3f4b; --soft: #a0a6b4; --card: #1e2128; --page: #14161b; --ink: #e8eaee;
    --mark: #8fb0ff; --bad: #ff8a80; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
header { padding: 1rem; max-width: 75rem; margin: auto; }
h1 { font-size: 1.3rem; margin: 0 0 .3rem; }
h2 { font-size: 1rem; margin: 0 0 .6rem; }
header p { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
main { display: grid; gap: 1rem; padding: 0 1rem 2rem; max-width: 75rem; margin: auto; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .9rem; min-width: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; }
th, td { text-align: left; padding: .35rem .6rem .35rem 0; border-top: 1px solid var(--line);
  white-space: nowrap; max-width: 20rem; overflow: hidden; text-overflow: ellipsis; }
th { color: var(--soft); font-weight: 600; border-top: 0; }
td.bad { color: var(--bad); font-weight: 600; }
progress { width: 6rem; accent-color: var(--mark); vertical-align: middle; }
.none { color: var(--soft); }
</style>
</head>
<body>
<header>
<h1>Apollo sandbox</h1>
<p id="about">Reading…</p>
</header>
<main>
<section id="consent" hidden>
<h2>An app asks for access</h2>
<p>It wants: <span id="scope"></span></p>
<button id="allow">Allow</button>
</section>
<section><h2 id="h-contacts">Contacts</h2><div class="scroll" id="contacts"></div></section>
<section><h2 id="h-accounts">Accounts</h2><div class="scroll" id="accounts"></div></section>
<section><h2>Last requests</h2><div class="scroll" id="requests"></div></section>
<section><h2>Quota</h2><div class="scroll" id="quota"></div></section>
</main>
<script>
"use strict";
const at = id => document.getElementById(id);
const read = async name => (await fetch("/_sandbox/" + name)).json();
function table(id, heads, rows) {
  const place = at(id);
  if (!rows.length) {
    place.replaceChildren(Object.assign(document.createElement("p"),
      {className: "none", textContent: "None yet."}));
    return;
  }
  const made = document.createElement("table");
  const head = made.createTHead().insertRow();
  for (const text of heads) {
    head.append(Object.assign(document.createElement("th"), {textContent: text}));
  }
  const body = made.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const cell of row) {
      const place = line.insertCell();
      if (cell instanceof Node) place.append(cell);
      else { place.textContent = cell ?? ""; place.title = place.textContent; }
    }
  }
  place.replaceChildren(made);
}
const clock = seconds => new Date(seconds * 1000).toLocaleTimeString();
function gauge(window) {
  if (window.limit === null) return document.createTextNode(window.used + ", unlimited");
  const box = document.createElement("span");
  const bar = document.createElement("progress");
  bar.max = window.limit; bar.value = window.used;
  const ends = window.ends_at ? ", until " + clock(window.ends_at) : "";
  box.append(bar, ` ${window.used} of ${window.limit}${ends}`);
  return box;
}
async function refresh() {
  try {
    const [options, contacts, accounts, requests, quota] = await Promise.all([
      read("options"), read("contacts?last=50"), read("accounts?last=50"),
      read("requests?last=50&bodies=no"), read("quota")]);
    at("about").textContent = `Team ${options.team_id}, plan ${options.plan}` +
      (options.strict ? ", strict" : "") + `. API at ${location.origin}/api/v1`;
    at("h-contacts").textContent = `Contacts (${options.contacts})`;
    at("h-accounts").textContent = `Accounts (${options.accounts})`;
    table("contacts", ["Name", "E-mail", "Title", "Company", "Updated"],
      contacts.reverse().map(c => [c.name, c.email, c.title, c.organization_name, c.updated_at]));
    table("accounts", ["Name", "Domain", "Phone", "Contacts", "Created"],
      accounts.reverse().map(a => [a.name, a.domain, a.phone, a.num_contacts, a.created_at]));
    table("requests", ["Time", "Endpoint", "Status", "Fault"],
      requests.requests.reverse().map(r => [clock(r.at), r.endpoint, r.status || "none", r.fault]));
    for (const row of at("requests").querySelectorAll("tbody tr")) {
      if (!row.cells[2].textContent.startsWith("2")) row.cells[2].className = "bad";
    }
    table("quota", ["Endpoint", "Minute", "Hour", "Day"],
      Object.entries(quota).map(([entry, windows]) => [entry, ...windows.map(gauge)]));
  } catch (error) {
    at("about").textContent = "The sandbox does not answer.";
  }
}
// Apollo's consent page is at #/oauth/authorize?client_id=…&redirect_uri=…&scope=…&state=…
function consent() {
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
refresh();
setInterval(refresh, 2000);
</script>
</body>
</html>
"""
