"use strict";
const trace = JSON.parse(document.getElementById("trace").textContent);
const at = id => document.getElementById(id);
const step = id => trace.steps[id - 1];
const orders = Object.keys(trace.counts).map(Number);
const operations = trace.steps.filter(s => s.kind === "step");
const pane = document.querySelector("#table .scroll"), words = pane.querySelector(".words");
const cells = new Map([...document.querySelectorAll("#table rect[data-id]")].map(r => [+r.dataset.id, r]));
const uses = new Map(), made = new Map(), cotangentOf = new Map();
for (const s of trace.steps) {
  for (const i of new Set(s.inputs)) list(uses, i).push(s.id);
  if (s.made_by && s.kind === "step") list(made, s.made_by).push(s.id);
  for (const c of s.cotangents) cotangentOf.set(c[2], s.id);
}
let only = null, shown = operations, current = null, announcement = 0;

function list(map, key) { if (!map.has(key)) map.set(key, []); return map.get(key); }
function escaped(text) { return String(text).replace(/[&<>"]/g, c => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]); }
function number(v) {
  if (typeof v !== "number") return escaped(v);
  const size = Math.abs(v), text = v === 0 || (size >= 1e-3 && size < 1e5) ? String(+v.toPrecision(4)) : v.toExponential(2);
  return text.replace("-", "−");
}
function isNumber(s) { return s.kind === "input" && !s.shape.length && !s.batch.length; }
function named(id) { const s = step(id); return isNumber(s) ? number(s.value.first[0]) : "%" + id; }
function type(s) { return s.batch.map(n => n + " × ").join("") + s.dtype + "[" + s.shape.join(", ") + "]"; }
function go(id, text) { return `<button class="go" data-go="${id}">${escaped(text || "%" + id + " " + step(id).op)}</button>`; }
function expression(s, name) {
  const options = Object.entries(s.static).map(([k, v]) => k + "=" + v);
  const inputs = s.inputs.map(i => isNumber(step(i)) ? named(i) : name(i));
  return s.kind === "input" ? s.op : s.op + "(" + [...inputs, ...options.map(escaped)].join(", ") + ")";
}
function coloured(code) {
  const token = /(#.*)|("""[^]*?"""|'''[^]*?'''|"[^"\n]*"|'[^'\n]*')|\b(def|class|return|lambda|for|in|if|else|elif|with|as|import|from|None|True|False|not|and|or|while|try|finally|except|raise|yield)\b/g;
  let out = "", from = 0;
  for (const m of code.matchAll(token)) {
    out += escaped(code.slice(from, m.index)) + `<span class="${m[1] ? "comment" : m[2] ? "text" : "word"}">${escaped(m[0])}</span>`;
    from = m.index + m[0].length;
  }
  return out + escaped(code.slice(from));
}

// What is shown of a step, pane by pane.

function showStep(s) {
  const facts = [["order", s.order + (s.order ? "" : " (your program)")], ["type", type(s)]];
  const visit = s.visit && trace.sweeps[s.visit[0]];
  if (s.made_by) facts.push(["made by the VJP of", go(s.made_by)]);
  else if (s.kind === "earlier") facts.push(["made", "before the trace began"]);
  else if (s.kind === "input") facts.push(["made", "outside: a value of yours"]);
  if (visit) facts.push(["in sweep", `${visit.name}, ${s.visit[1]} of ${visit.nodes}`]);
  if (s.column !== s.id && s.column !== s.made_by) facts.push(["differentiates", go(s.column)]);
  if (cotangentOf.has(s.id)) facts.push(["it is the cotangent of", go(cotangentOf.get(s.id))]);
  if (made.has(s.id)) facts.push(["its VJP made", `${go(made.get(s.id)[0])}${made.get(s.id).length > 1 ? " and " + (made.get(s.id).length - 1) + " more" : ""}`]);
  if (s.batch.length) facts.push(["inside vmap", s.batch.join(" × ") + " examples at once"]);
  at("name").innerHTML = `%${s.id} = ` + expression(s, i => go(i, "%" + i));
  at("facts").innerHTML = facts.map(([name, fact]) => `<div><dt>${name}</dt><dd>${fact}</dd></div>`).join("");
}

let file = null;
function showSource(s) {
  const column = step(s.column), path = trace.sites[s.site ?? column.site] || [], here = path.at(-1);
  if (here && here.file !== file) {
    file = here.file;
    at("file").textContent = file;
    at("lines").innerHTML = (trace.sources[file] || []).map((line, k) => `<li data-line="${k + 1}"><code>${coloured(line)}</code></li>`).join("");
  }
  const lines = at("lines").children, mark = (site, kind, words) => {
    const line = site && site.file === file && lines[site.line - 1];
    if (line) { line.className = kind; line.dataset.mark = words; }
  };
  for (const line of at("lines").querySelectorAll("li[class]")) { line.className = ""; delete line.dataset.mark; }
  const subject = s.order && column.site !== null && trace.sites[column.site].at(-1);
  for (const site of path) mark(site, "caller", "");
  if (subject) mark(subject, "subject", "← differentiated");
  mark(here, "here", "");
  if (!here) { file = null; at("file").textContent = "No line: made before the trace began"; at("lines").innerHTML = ""; return; }
  reveal([here, subject].filter(site => site && site.file === file).map(site => lines[site.line - 1]).filter(Boolean));
}
function reveal(lines) { // both lines if the pane has room for them, else the last: what is being differentiated
  const pane = at("lines"), places = lines.map(l => l.offsetTop - pane.offsetTop), far = Math.max(...places) - Math.min(...places);
  const middle = far < pane.clientHeight - 60 ? Math.min(...places) + far / 2 : places.at(-1);
  if (lines.length) pane.scrollTop = middle - pane.clientHeight / 2;
}

function summary(v) {
  if (v.min === undefined) return "";
  const parts = [["min", v.min], ["mean", v.mean], ["max", v.max]].map(([k, x]) => `${k} <b>${number(x)}</b>`);
  return parts.join(" &ensp; ") + (v.bad ? ` &ensp; <b>${v.bad} not finite</b>` : "");
}
function grid(rows, label) {
  const numbers = rows.flat().map(Number).filter(isFinite), most = Math.max(...numbers.map(Math.abs), 1e-300);
  const cell = v => {
    const sign = Number(v) < 0 ? "minus" : "plus", deep = Math.min(Math.abs(Number(v)) / most, 1) || 0;
    return `<td style="background:rgb(var(--${sign}) / ${(0.05 + 0.5 * deep).toFixed(3)})">${number(v)}</td>`;
  };
  return `<table class="grid" aria-label="${label}">${rows.map(r => `<tr>${r.map(cell).join("")}</tr>`).join("")}</table>`;
}
function bars(v) {
  const most = Math.max(...v.bins), wide = 380 / v.bins.length, zero = 380 * (0 - v.min) / (v.max - v.min);
  return `<svg class="bars" viewBox="0 0 380 84" role="img" aria-label="Histogram from ${number(v.min)} to ${number(v.max)}">` +
    v.bins.map((n, k) => `<rect x="${k * wide + 1}" width="${wide - 2}" y="${66 - 60 * n / most}" height="${60 * n / most}"/>`).join("") +
    `<line x1="0" x2="380" y1="66.5" y2="66.5"/>` + (zero > 60 && zero < 320 ? `<line x1="${zero}" x2="${zero}" y1="64" y2="70"/><text x="${zero}" y="81" text-anchor="middle">0</text>` : "") +
    `<text x="0" y="81">${number(v.min)}</text><text x="380" y="81" text-anchor="end">${number(v.max)}</text></svg>`;
}
function showValue(s) {
  const v = s.value, several = s.batch.length ? `the first of ${s.batch.join(" × ")} examples` : "all entries";
  const whole = v.grid ? grid(v.grid, several) : v.bins ? bars(v) : "";
  const first = v.grid || !v.first ? "" : `<p class="stats">first entries ${v.first.map(x => `<b>${number(x)}</b>`).join(", ")}…</p>`;
  const note = v.grid && s.batch.length ? ` &ensp; below: ${several}` : "";
  at("value").innerHTML = `<p class="stats">${summary(v)}${note}</p>${whole}${first}` + cotangents(s);
  at("value").scrollTop = 0;
}
function cotangents(s) {
  const before = {};
  const row = ([sweep, came, total]) => {
    const old = before[sweep];
    before[sweep] = total;
    return `<tr><td>${trace.sweeps[sweep].name}</td><td>${old ? go(old) : "nothing"}</td><td>${go(came)}</td><td>${go(total)}</td></tr>`;
  };
  return s.cotangents.length ? `<table class="sums"><caption>Its cotangent, as it was collected</caption>
    <tr><th>sweep</th><th>before</th><th>came</th><th>after</th></tr>${s.cotangents.map(row).join("")}</table>` : "";
}

function showRules(s) {
  const rule = (op, head) => trace.rules[op] ? `<h4>${head}</h4><p class="math">${escaped(trace.rules[op].mathematics).replace(/`([^`]+)`/g, "<code>$1</code>")}</p><pre>${coloured(trace.rules[op].vjp)}</pre>` : "";
  const maker = s.made_by && step(s.made_by);
  at("rule").innerHTML = (maker ? rule(maker.op, `The rule of ${escaped(maker.op)}, which made this step`) : "") +
    (maker && maker.op === s.op ? "" : rule(s.op, `The rule of ${escaped(s.op)}, this operation`)) || `<p class="note">A value of yours has no rule.</p>`;
  at("rule").scrollTop = 0;
}

// The neighbourhood: dataflow from left to right in a first row, what the VJP made in layers below it.

const BOX = { w: 140, h: 30, dx: 178, dy: 40 };
function showGraph(s) {
  const place = new Map(), edges = [], most = 40;
  const column = (ids, x, top) => ids.forEach((id, k) => place.has(id) || place.set(id, [x, top + k * BOX.dy]));
  const inputs = [...new Set(s.inputs)].filter(i => !isNumber(step(i))).slice(0, 8);
  const own = (made.get(s.id) || []).slice(0, most), after = (uses.get(s.id) || []).filter(i => step(i).made_by !== s.id).slice(0, 8);
  const tall = Math.max(inputs.length, after.length, 1), top = s.made_by ? 62 : 12, middle = top + (tall - 1) * BOX.dy / 2;
  place.set(s.id, [BOX.dx, middle]);
  if (s.made_by && !inputs.includes(s.made_by)) place.set(s.made_by, [BOX.dx, middle - 50]);
  column(inputs, 0, middle - (inputs.length - 1) * BOX.dy / 2);
  column(after, 2 * BOX.dx, middle - (after.length - 1) * BOX.dy / 2);
  const depth = new Map(), rows = [];
  for (const id of own) {
    const d = Math.max(0, ...step(id).inputs.filter(i => depth.has(i)).map(i => depth.get(i) + 1));
    depth.set(id, d);
    rows[d] = (rows[d] || 0) + 1;
    place.set(id, [d * BOX.dx, top + (tall - 1) * BOX.dy + 66 + (rows[d] - 1) * BOX.dy]);
  }
  for (const [id, to] of place) for (const i of new Set(step(id).inputs)) if (place.has(i) && !(i === s.id && depth.has(id))) edges.push([place.get(i), to, ""]);
  for (const id of own) if (depth.get(id) === 0) edges.push([place.get(s.id), place.get(id), "by"]);
  if (s.made_by) edges.push([place.get(s.made_by), place.get(s.id), "by"]);
  const w = Math.max(...[...place.values()].map(p => p[0])) + BOX.w + 16, h = Math.max(...[...place.values()].map(p => p[1])) + BOX.h + 14;
  const box = ([id, [x, y]]) => `<g role="link" tabindex="0" data-go="${id}" class="${id === s.id ? "now" : ""}" transform="translate(${x + 8} ${y})" aria-label="${escaped("%" + id + " " + step(id).op)}, order ${step(id).order}">
    <rect class="box" width="${BOX.w}" height="${BOX.h}" rx="4"/><rect class="o${Math.min(step(id).order, 3)}" x="5" y="6" width="9" height="18"/>
    <text x="21" y="19">%${id} ${escaped(step(id).op.slice(0, 17 - String(id).length))}</text></g>`;
  const rest = (made.get(s.id) || []).length - own.length, more = rest > 0 ? `<text class="quiet" x="8" y="${h + 10}">and ${rest} more</text>` : "";
  at("graph").innerHTML = `<svg width="${w}" height="${h + (rest > 0 ? 22 : 0)}" viewBox="0 0 ${w} ${h + (rest > 0 ? 22 : 0)}">${edges.map(line).join("")}${[...place].map(box).join("")}${more}</svg>`;
  at("graph").scrollTop = 0;
}
function line([[x, y], [u, v], kind]) {
  if (kind) {
    const a = x + 8 + BOX.w / 2, b = u + 8 + BOX.w / 2;
    return v > y ? `<path class="by" d="M${a} ${y + BOX.h}C${a} ${v - 12} ${b} ${y + BOX.h + 12} ${b} ${v}"/>` : "";
  }
  const a = x + 8 + BOX.w, b = u + 8, p = y + BOX.h / 2, q = v + BOX.h / 2;
  return a <= b ? `<path d="M${a} ${p}C${(a + b) / 2} ${p} ${(a + b) / 2} ${q} ${b} ${q}"/>` : "";
}

function showTable(s) {
  for (const cell of document.querySelectorAll("#table rect:is(.now, .maker, .made)")) cell.classList.remove("now", "maker", "made");
  for (const id of made.get(s.id) || []) cells.get(id)?.classList.add("made");
  cells.get(s.made_by)?.classList.add("maker");
  document.querySelector("#table text.now")?.classList.remove("now");
  document.querySelector(`#table text[data-column="${s.column}"]`)?.classList.add("now");
  const cell = cells.get(s.id);
  if (!cell) return;
  cell.classList.add("now");
  const [box, view] = [cell.getBoundingClientRect(), pane.getBoundingClientRect()];
  if (box.left < view.left + 110 || box.right > view.right - 20) pane.scrollLeft += box.left - view.left - view.width / 2;
  if (box.top < view.top + 10 || box.bottom > view.bottom - 10) pane.scrollTop += box.top - view.top - view.height / 2;
}

// Moving.

function visit(id) {
  const s = current = step(id), place = shown.indexOf(s);
  if (place >= 0) at("slider").value = place;
  const words = `${s.op}, order ${s.order}, ${type(s)}` + (s.made_by ? `, made by the VJP of step ${s.made_by}, ${step(s.made_by).op}` : "");
  at("position").textContent = (place >= 0 ? place + 1 : "–") + " of " + shown.length;
  at("slider").setAttribute("aria-valuetext", `step ${s.id}: ${words}`);
  at("first").disabled = at("back").disabled = place === 0;
  at("last").disabled = at("next").disabled = place === shown.length - 1;
  for (const show of [showStep, showSource, showValue, showRules, showGraph, showTable]) show(s);
  clearTimeout(announcement);
  announcement = setTimeout(() => {
    at("live").textContent = `Step ${s.id}: ${words}`;
    history.replaceState(null, "", "#" + id);
  }, 250);
}
function move(by) {
  const place = shown.indexOf(current);
  if (place >= 0) return visit(shown[Math.min(Math.max(place + by, 0), shown.length - 1)].id);
  const after = shown.findIndex(s => s.id > current.id), rest = after < 0 ? shown.length : after;
  visit(shown[Math.min(Math.max(by > 0 ? rest : rest - 1, 0), shown.length - 1)].id);
}
function filter(order) {
  only = order;
  shown = order === null ? operations : operations.filter(s => s.order === order);
  at("slider").max = shown.length - 1;
  for (const b of at("orders").children) b.setAttribute("aria-pressed", b.dataset.order === String(order ?? "all"));
  const svg = document.querySelector("#table svg");
  if (order === null) delete svg.dataset.only; else svg.dataset.only = Math.min(order, 3);
  visit((shown.find(s => s.id >= current.id) || shown.at(-1)).id);
}
function find(text) {
  const wanted = text.trim().toLowerCase();
  const match = s => "%" + s.id === wanted || s.op.toLowerCase().includes(wanted) || (trace.sites[s.site] || []).some(p => p.function.toLowerCase().includes(wanted)) || (trace.sites[s.site]?.at(-1).text.toLowerCase().includes(wanted));
  const hit = wanted && (shown.find(s => s.id > current.id && match(s)) || shown.find(match) || trace.steps.find(s => "%" + s.id === wanted));
  at("find").setAttribute("aria-invalid", Boolean(wanted && !hit));
  if (hit) visit(hit.id); else if (wanted) at("live").textContent = "Nothing found for " + text;
}

at("orders").innerHTML = `<button data-order="all" title="All orders (a)">all</button>` + orders.map(o => `<button data-order="${o}" title="Order ${o} only (${o})" aria-label="order ${o}">${o}</button>`).join("");
at("summary").textContent = operations.length + " operations: " + orders.map(o => `${trace.counts[o]} of order ${o}`).join(", ");
at("orders").addEventListener("click", e => e.target.dataset.order && filter(e.target.dataset.order === "all" ? null : +e.target.dataset.order));
at("slider").addEventListener("input", e => visit(shown[+e.target.value].id));
at("first").onclick = () => move(-Infinity);
at("back").onclick = () => move(-1);
at("next").onclick = () => move(1);
at("last").onclick = () => move(Infinity);
pane.addEventListener("scroll", () => words.setAttribute("transform", `translate(${pane.scrollLeft})`));
at("find").addEventListener("keydown", e => { if (e.key === "Enter") find(e.target.value); if (e.key === "Escape") e.target.blur(); });
document.addEventListener("click", e => { const to = e.target.closest("[data-go], #table [data-id]"); if (to) visit(+(to.dataset.go || to.dataset.id)); });
document.addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target === at("find")) return;
  const link = e.target.closest?.("g[role=link]");
  const act = {
    ArrowRight: () => move(1), ArrowLeft: () => move(-1), Home: () => move(-Infinity), End: () => move(Infinity),
    u: () => current.made_by && visit(current.made_by), d: () => made.has(current.id) && visit(made.get(current.id)[0]),
    "/": () => at("find").select(), a: () => filter(null), Enter: link && (() => visit(+link.dataset.go)),
  }[e.key] || (orders.includes(Number(e.key)) && e.key.trim() && (() => filter(+e.key)));
  if (act) { act(); e.preventDefault(); }
});
if (operations.length) {
  const start = current = step(+location.hash.slice(1)) || operations[0];
  filter(null);
  visit(start.id);
}
