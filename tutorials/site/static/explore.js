"use strict";
// Sliders over runs that were computed once. Whoever moves one says what will happen before the pictures change.

const data = JSON.parse(document.getElementById("data").textContent), words = data.words;
const $ = id => document.getElementById(id);
const QUESTIONS = {
  error: run => run.error[1][0],
  share: run => Math.hypot(run.split[1], run.split[2]) / run.split[0],
  second: run => run.table.reduce((sum, [, , second]) => sum + second, 0),
};
const SAID = { error: x => x.toPrecision(3), share: x => `${(100 * x).toPrecision(2)} %`, second: x => String(x) };

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const svg = (name, attributes, text = "") => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
};

function chosen() {
  const rate = data.rate[$("rate").value], steps = data.steps[$("steps").value];
  const mode = document.querySelector("input[name=mode]:checked").value;
  return { ...data.runs[`${rate} ${steps} ${mode}`], table: data.tables[`${steps} ${mode}`], rate, steps, mode };
}

function name(run) {
  for (const key of ["rate", "steps"]) {
    $(`${key}-is`).textContent = run[key];
    $(key).setAttribute("aria-valuetext", run[key]);
  }
}

// A prediction: which way a number goes, from the run that was seen last to the one that is chosen now.
let seen, turn = 0;
const way = (was, is) => Math.abs(is - was) <= 0.05 * Math.max(Math.abs(is), Math.abs(was)) ? 0 : Math.sign(is - was);

function ask() {
  const run = chosen(), kind = Object.keys(QUESTIONS)[turn % 3];
  name(run);
  const back = ["rate", "steps", "mode"].every(key => run[key] === seen[key]);
  $("predict").hidden = back;
  $("answer").classList.toggle("veiled", !back);
  $("verdict").textContent = "";
  if (back) return;
  const was = QUESTIONS[kind](seen);
  $("asked").textContent = filled(words.asks[kind], { was: SAID[kind](was) });
}

function answer(guess) {
  const run = chosen(), kind = Object.keys(QUESTIONS)[turn++ % 3];
  const [was, is] = [seen, run].map(QUESTIONS[kind]);
  const said = way(was, is) === guess ? words.right : words.wrong;
  const values = { was: SAID[kind](was), is: SAID[kind](is), guess: words.guesses[guess + 1] };
  $("verdict").textContent = `${filled(said, values)} ${words.why[kind]}`;
  show(run);
}

function show(run) {
  seen = run;
  if ($("predict").contains(document.activeElement)) $("verdict").focus();
  $("predict").hidden = true;
  $("answer").classList.remove("veiled");
  drawCurve(run);
  drawArrows(run);
  drawTable(run);
}

function drawCurve(run) {
  const x = v => 300 + 58 * v, y = v => 130 - 27 * Math.max(-4.6, Math.min(4.6, v));
  const path = (values, kind) => svg("path", { class: kind, d: "M" + values.map((v, i) => `${x(data.x[i])} ${y(v)}`).join("L") });
  const points = data.support[0].map((v, i) => svg("circle", { class: "point", cx: x(v), cy: y(data.support[1][i]), r: 5 }));
  const axis = svg("path", { class: "axis", d: `M${x(-5)} ${y(0)}H${x(5)}` });
  $("curve").replaceChildren(axis, path(data.y, "true"), path(run.curves[0], "start"), path(run.curves[1], "adapted"), ...points);
  const [before, after] = run.error.map(([, said]) => said);
  $("error").textContent = filled(words.error, { before, after });
}

// Two vectors span a plane: what is kept lies along it, what is left out starts at its tip.
function drawArrows(run) {
  const [kept, along, across] = run.split, left = Math.min(0, kept + along), right = Math.max(kept, kept + along);
  const scale = Math.min(520 / (right - left || 1), 150 / (across || 1));
  const at = (a, b) => [40 - left * scale + a * scale, 175 - b * scale];
  const arrow = (kind, from, to) => {
    const turn = Math.atan2(to[1] - from[1], to[0] - from[0]);
    const wing = side => `${to[0] - 11 * Math.cos(turn + side)} ${to[1] - 11 * Math.sin(turn + side)}`;
    return svg("path", { class: kind, d: `M${from.join(" ")}L${to.join(" ")}M${wing(0.4)}L${to.join(" ")}L${wing(-0.4)}` });
  };
  const [origin, tip, end] = [at(0, 0), at(kept, 0), at(kept + along, across)];
  $("arrows").replaceChildren(arrow("kept", origin, tip), arrow("rest", tip, end), arrow("exact", origin, end));
  const rest = Math.hypot(along, across), angle = Math.atan2(across, kept + along) * 180 / Math.PI;
  const lengths = { kept: kept.toPrecision(3), rest: rest.toPrecision(3), share: SAID.share(rest / kept), angle: angle.toFixed(1) };
  $("parts").textContent = filled(words.parts, lengths);
}

function drawTable(run) {
  const pitch = 9, cell = 7, left = 96, height = order => Math.max(3, ...run.table.map(column => column[order]));
  const tops = [8, 40, 40 + cell * height(1) + 24], parts = [];
  const bottom = tops[2] + cell * height(2) + 10, right = left + pitch * run.table.length + 10;
  words.bands.forEach((word, order) => {
    parts.push(svg("path", { class: "axis", d: `M0 ${tops[order] - 8}H${right}` }), svg("text", { x: 0, y: tops[order] + 12 }, word));
  });
  run.table.forEach(([op, ...counts], k) => {
    [1, ...counts].forEach((count, order) => {
      for (let row = 0; row < count; row++) {
        const box = { class: `order${order}`, x: left + pitch * k, y: tops[order] + cell * row, width: pitch - 2, height: cell - 1 };
        parts.push(svg("rect", box));
        if (!row) parts.at(-1).append(svg("title", {}, op));
      }
    });
  });
  const counts = [1, 2].map(order => run.table.reduce((sum, column) => sum + column[order], 0));
  if (!counts[1]) parts.push(svg("text", { x: left, y: tops[2] + 12 }, words.empty));
  $("table").setAttribute("viewBox", `0 0 ${right} ${bottom}`);
  $("table").setAttribute("width", right);
  $("table").setAttribute("height", bottom);
  $("table").replaceChildren(...parts);
  $("counts").textContent = filled(words.counts, [run.table.length, ...counts]);
}

for (const [k, word] of words.guesses.entries()) {
  const button = document.createElement("button");
  button.textContent = word;
  button.addEventListener("click", () => answer(k - 1));
  $("guesses").append(button);
}
for (const key of ["rate", "steps"]) {
  $(key).max = data[key].length - 1;
  $(key).value = 1;
}
$("controls").addEventListener("input", ask);
$("controls").addEventListener("submit", event => event.preventDefault());
name(chosen());
show(chosen());
