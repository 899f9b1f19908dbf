"use strict";
// Keeps the page as the edge says it is: over a WebSocket, or by server-sent events where that fails.

const body = document.body;
const host = body.dataset.host;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const bytes = (value) => {
  for (const prefix of ["", "k", "M", "G"]) {
    if (value < 999.5) return value.toFixed(value < 9.95 && prefix ? 1 : 0) + " " + prefix + "B";
    value /= 1000;
  }
  return value.toFixed(1) + " TB";
};
const share = (value) => (value * 100).toFixed(0) + " %";
const formats = {
  cpu: share, mem: share, "fs.worst": share,
  load1: (value) => value.toFixed(2),
  "temp.max": (value) => value.toFixed(0) + " °C",
};
const text = (metric, value) => (value === null || value === undefined) ? "–" : (formats[metric] || bytes)(value);
const isHot = (metric, value) => (metric === "cpu" || metric === "mem" || metric === "fs.worst") && value >= 0.9;

const setText = (element, value) => { if (element && element.textContent !== value) element.textContent = value; };

const showStatus = (fleet) => {
  const status = document.getElementById("status");
  const away = !fleet.live;
  status.classList.toggle("away", away);
  if (away) {
    const when = fleet.as_of_ms ? new Date(fleet.as_of_ms).toLocaleString() : "";
    setText(status, when ? "As of " + when + ": the hub is away" : "Nothing is known yet: the hub has not been here");
    return;
  }
  if (host) return;
  const live = fleet.hosts.filter((one) => one.state === "live").length;
  const alerts = fleet.hosts.reduce((sum, one) => sum + one.alerts.length, 0);
  setText(status, live + " of " + fleet.hosts.length + " hosts live" + (alerts ? ", " + alerts + " alerts" : ""));
};

const showValues = (root, metrics) => {
  for (const cell of root.querySelectorAll("[data-metric]")) {
    const metric = cell.dataset.metric;
    setText(cell, text(metric, metrics[metric]));
    cell.classList.toggle("hot", isHot(metric, metrics[metric]));
  }
};

// The fleet ------------------------------------------------------------------------------------
const labels = () => [...document.querySelectorAll("thead th")].map((th) => th.textContent);

const row = (name) => {
  const table = document.querySelector("#fleet tbody");
  for (const existing of table.rows) if (existing.dataset.host === name) return existing;
  const made = table.insertRow();
  made.dataset.host = name;
  const heading = document.createElement("th");
  heading.scope = "row";
  const link = document.createElement("a");
  link.href = "/hosts/" + encodeURIComponent(name);
  link.textContent = name;
  heading.append(link);
  made.append(heading);
  made.insertCell().className = "state";
  made.insertCell().dataset.spark = "";
  for (const metric of ["cpu", "mem", "load1", "net.rx", "net.tx", "disk.read", "disk.write", "fs.worst"]) {
    const cell = made.insertCell();
    cell.className = "number";
    cell.dataset.metric = metric;
  }
  return made;
};

// A quarter of an hour of CPU in each row, drawn once a minute.
const SPARK_SPAN = 900000;
const SPARKS_MAX = 100;

const spark = async (line) => {
  const to = Date.now();
  const query = new URLSearchParams({ metric: "cpu", from: to - SPARK_SPAN, to, step: 10000 });
  const answer = await fetch("/api/v1/hosts/" + encodeURIComponent(line.dataset.host) + "/series?" + query);
  if (!answer.ok) return;
  const points = (await answer.json()).points;
  let canvas = line.querySelector("canvas");
  if (!canvas) {
    canvas = document.createElement("canvas");
    canvas.className = "spark";
    canvas.setAttribute("aria-hidden", "true");
    line.querySelector("[data-spark]").append(canvas);
  }
  const scale = devicePixelRatio || 1;
  const [width, height] = [120 * scale, 24 * scale];
  [canvas.width, canvas.height] = [width, height];
  const paint = canvas.getContext("2d");
  paint.fillStyle = colour("--graph");
  const step = width / Math.max(points.length, 1);
  points.forEach((point, at) => {
    if (point[1] === null) return;
    const tall = Math.max(scale, Math.min(point[1], 1) * height);
    paint.fillRect(at * step, height - tall, Math.ceil(step), tall);
  });
};

const drawSparks = () => {
  [...document.querySelectorAll("#fleet tbody tr")].slice(0, SPARKS_MAX).forEach((line) => spark(line).catch(() => {}));
};

const showFleet = (fleet) => {
  const names = new Set(fleet.hosts.map((one) => one.name));
  for (const old of [...document.querySelectorAll("#fleet tbody tr")]) if (!names.has(old.dataset.host)) old.remove();
  const headings = labels();
  for (const one of fleet.hosts) {
    const line = row(one.name);
    const state = line.cells[1];
    state.className = "state " + one.state;
    setText(state, one.state + (one.alerts.length ? " ▲" : ""));
    state.title = one.alerts.map((alert) => alert.rule).join(", ");
    showValues(line, one.metrics);
    [...line.cells].forEach((cell, at) => { cell.dataset.label = headings[at] || ""; });
  }
};

// A host ---------------------------------------------------------------------------------------
const charts = [
  ["CPU", "cpu", [0, 1]], ["Memory", "mem", [0, 1]],
  ["Network in", "net.rx", null], ["Network out", "net.tx", null],
  ["Disk read", "disk.read", null], ["Disk write", "disk.write", null],
];
let span = 3600000;
const plots = new Map();

const draw = async (title, metric, range) => {
  const to = Date.now();
  const query = new URLSearchParams({ metric, from: to - span, to, step: Math.ceil(span / 360) });
  const answer = await fetch("/api/v1/hosts/" + encodeURIComponent(host) + "/series?" + query);
  if (!answer.ok) return;
  const points = (await answer.json()).points;
  const data = [points.map((point) => point[0] / 1000), points.map((point) => point[1])];
  const known = plots.get(metric);
  if (known) {
    known.setData(data);
    return;
  }
  const place = document.createElement("div");
  const heading = document.createElement("h2");
  heading.textContent = title;
  place.append(heading);
  document.getElementById("charts").append(place);
  const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line") }, ticks: { stroke: colour("--line") } };
  const options = {
    width: Math.max(place.clientWidth, 200), height: 170,
    scales: { y: range ? { range } : { range: (plot, low, high) => [0, Math.max(high * 1.1, 1)] } },
    axes: [axis, { ...axis, size: 62, values: (plot, values) => values.map((value) => text(metric, value)) }],
    series: [{}, { stroke: colour("--graph"), fill: colour("--graph") + "33", width: 1.5, spanGaps: false }],
  };
  plots.set(metric, new uPlot(options, data, place));
};

const drawAll = () => { for (const chart of charts) draw(...chart).catch(() => {}); };

const showHost = (fleet) => {
  const one = fleet.hosts.find((candidate) => candidate.name === host);
  if (!one) return;
  if (fleet.live) {
    const status = document.getElementById("status");
    status.className = "state " + one.state;
    setText(status, [one.state, ...one.alerts.map((alert) => alert.rule)].join(" ▲ "));
  }
  showValues(document.getElementById("values"), one.metrics);
};

if (!host) {
  drawSparks();
  setInterval(() => { if (!document.hidden) drawSparks(); }, 60000);
}

if (host) {
  for (const button of document.querySelectorAll("nav button")) {
    button.addEventListener("click", () => {
      span = Number(button.dataset.span);
      for (const other of document.querySelectorAll("nav button")) other.setAttribute("aria-pressed", String(other === button));
      drawAll();
    });
  }
  addEventListener("resize", () => {
    for (const plot of plots.values()) plot.setSize({ width: Math.max(plot.root.parentNode.clientWidth, 200), height: 170 });
  });
  drawAll();
  setInterval(() => { if (!document.hidden) drawAll(); }, 10000);
}

// Live -----------------------------------------------------------------------------------------
const show = (json) => {
  const fleet = JSON.parse(json);
  showStatus(fleet);
  if (host) showHost(fleet); else showFleet(fleet);
};

let failures = 0;
const watch = () => {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(scheme + "//" + location.host + "/api/v1/live");
  socket.onmessage = (event) => { failures = 0; show(event.data); };
  socket.onclose = () => {
    failures += 1;
    if (failures > 3 && window.EventSource) {
      const events = new EventSource("/api/v1/events");
      events.onmessage = (event) => show(event.data);
      return;
    }
    setTimeout(watch, Math.min(1000 * 2 ** failures, 30000) * (0.5 + Math.random() / 2));
  };
};
watch();
