// The state of the page (which step, which orders) and the ways to change it.

const count = order => operations.filter(s => s.order === order).length;
const orders = Object.keys(trace.counts).map(Number).filter(count);
let shown = operations; // the steps that the slider goes through: all, or those of one order
let current = null;
let announcement = 0;

function visit(id) {
  const s = (current = step(id)), place = shown.indexOf(s);
  const maker = s.made_by ? `, made by the VJP of step ${s.made_by}, ${step(s.made_by).op}` : "";
  const words = `Step ${s.id}: ${s.op}, order ${s.order}, ${type(s)}${maker}`;
  if (place >= 0) at("slider").value = place;
  at("slider").setAttribute("aria-valuetext", words);
  at("position").textContent = `${place >= 0 ? place + 1 : "–"} of ${shown.length}`;
  at("first").disabled = at("back").disabled = place === 0;
  at("last").disabled = at("next").disabled = place === shown.length - 1;
  for (const show of [showStep, showSource, showValue, showRules, showGraph, showTable]) show(s);
  clearTimeout(announcement);
  announcement = setTimeout(() => { // when the reader stays: a key held down would flood both
    at("live").textContent = words;
    history.replaceState(null, "", "#" + id);
  }, 250);
}

function move(by) {
  const last = shown.length - 1, place = shown.indexOf(current);
  // From a step that is not among those shown: the next one after it, or the last one before.
  const after = shown.filter(s => s.id <= current.id).length;
  const to = place >= 0 ? place + by : by > 0 ? after + by - 1 : after + by;
  visit(shown[Math.min(Math.max(to, 0), last)].id);
}

function filter(order) {
  shown = order === null ? operations : operations.filter(s => s.order === order);
  at("slider").max = shown.length - 1;
  for (const button of at("orders").children) {
    button.setAttribute("aria-pressed", button.dataset.order === String(order ?? "all"));
  }
  const table = document.querySelector("#table svg");
  if (order === null) delete table.dataset.only;
  else table.dataset.only = Math.min(order, 3);
  visit((shown.find(s => s.id >= current.id) || shown.at(-1)).id);
}

function find(text) { // an operation's name or a step's number first; else the words of a line, or a function's name
  const wanted = text.trim();
  const named = s => `%${s.id}` === wanted || s.op.includes(wanted);
  const written = s => {
    const path = trace.sites[s.site] || [];
    return path.some(site => site.function.includes(wanted)) || Boolean(path.at(-1)?.text.includes(wanted));
  };
  const matches = shown.some(named) ? named : written;
  const next = shown.find(s => s.id > current.id && matches(s)) || shown.find(matches);
  const hit = wanted && (next || trace.steps.find(named));
  at("find").setAttribute("aria-invalid", Boolean(wanted && !hit));
  if (hit) return visit(hit.id);
  clearTimeout(announcement);
  at("live").textContent = wanted && "Nothing found for " + wanted;
}

const keys = {
  ArrowRight: () => move(1),
  ArrowLeft: () => move(-1),
  Home: () => move(-Infinity),
  End: () => move(Infinity),
  u: () => current.made_by && visit(current.made_by),
  d: () => made.has(current.id) && visit(made.get(current.id)[0]),
  a: () => filter(null),
  "/": () => at("find").select(),
};
for (const order of orders) keys[order] = () => filter(order);

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target === at("find") || !current) return;
  const link = event.key === "Enter" && event.target.closest("g[role=link]");
  const act = link ? () => visit(+link.dataset.go) : Object.hasOwn(keys, event.key) && keys[event.key];
  if (!act) return;
  act();
  event.preventDefault();
});
document.addEventListener("click", event => {
  const target = event.target.closest("[data-go], #table [data-id]");
  if (target) visit(+(target.dataset.go || target.dataset.id));
});
at("find").addEventListener("keydown", event => {
  if (event.key === "Enter") find(event.target.value);
  if (event.key === "Escape") event.target.blur();
});
at("slider").addEventListener("input", event => visit(shown[+event.target.value].id));
at("first").addEventListener("click", keys.Home);
at("back").addEventListener("click", keys.ArrowLeft);
at("next").addEventListener("click", keys.ArrowRight);
at("last").addEventListener("click", keys.End);
at("orders").addEventListener("click", ({ target: { dataset } }) => {
  if (dataset.order) filter(dataset.order === "all" ? null : +dataset.order);
});

// What the page is there to show, in a sentence: how much of the work is the highest derivative, and of what.
function sentence() {
  const order = Math.max(0, ...orders), highest = operations.filter(s => s.order === order);
  if (!operations.length) return "Nothing to step through: no operation ran while the trace was open.";
  const all = `${operations.length} operation${operations.length === 1 ? "" : "s"}`;
  if (order < 2) return all + (order ? `, ${highest.length} of which differentiate${highest.length === 1 ? "s" : ""} the others.` : ".");
  const functions = highest.map(s => (trace.sites[step(s.column).site] || []).map(site => site.function));
  const shared = functions[0].findLast(name => functions.every(names => names.includes(name)));
  const what = order === 2 ? "the second derivative" : order === 3 ? "the third derivative" : `of order ${order}`;
  return `${highest.length} of ${all} are ${what}` +
    (shared ? `; all differentiate <code>${escaped(shared.split("<locals>.").at(-1))}</code>` : "") + `. ${go(highest[0].id, "Go to the first")}`;
}
at("summary").innerHTML = sentence();
at("orders").innerHTML = `<button data-order="all" title="All orders (a)">all</button>` + orders
  .map(o => `<button data-order="${o}" title="Order ${o} only (${o})" aria-label="order ${o}">${o}</button>`).join("");
if (operations.length) {
  const start = (current = step(+location.hash.slice(1)) || operations[0]);
  filter(null);
  visit(start.id);
} else {
  at("controls").hidden = document.querySelector("main").hidden = document.querySelector("footer").hidden = true;
}
