"use strict";
// Keeps the page current, over a WebSocket or, where that fails, server-sent events. The edge renders the page as HTML; this
// script changes values in it and fetches the page again when hosts are added or removed.

const get = (id) => document.getElementById(id);
const host = document.body.dataset.host;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const moment = (ms) => (Math.abs(Date.now() - ms) < 43200000 ? clock(ms) : new Date(ms).toLocaleString());

// Values, formatted as in text.rs ------------------------------------------------------------
const bytes = (value) => {
  for (const prefix of ["", "k", "M", "G", "T", "P"]) {
    if (value < 999.5 || prefix === "P") return value.toFixed(value < 9.95 && prefix ? 1 : 0) + " " + prefix + "B";
    value /= 1000;
  }
};
const share = (value) => (value * 100).toFixed(0) + " %";
const formats = {
  cpu: share, mem: share, "fs.worst": share,
  load1: (value) => value.toFixed(2),
  "temp.max": (value) => value.toFixed(0) + " °C",
};
const isShare = (metric) => formats[metric] === share;
const text = (metric, value) => (value === null || value === undefined ? "–" : (formats[metric] || bytes)(value));
const symbols = { live: "●", stale: "◐", offline: "○" };

const setText = (element, value) => { if (element && element.textContent !== value) element.textContent = value; };
const make = (name, content, kind) => {
  const made = document.createElement(name);
  if (content) made.textContent = content;
  if (kind) made.className = kind;
  return made;
};

const showValues = (root, metrics) => {
  for (const cell of root.querySelectorAll("[data-metric]")) {
    const metric = cell.dataset.metric, value = metrics[metric];
    setText(cell.querySelector("span"), text(metric, value));
    if (!isShare(metric)) continue;
    cell.classList.toggle("hot", value >= 0.9);
    cell.querySelector("rect").setAttribute("width", Math.round(100 * Math.min(Math.max(value || 0, 0), 1)));
  }
};

const showState = (element, one, more) => {
  element.className = "state " + one.state;
  setText(element.firstElementChild, symbols[one.state]);
  element.lastChild.textContent = " " + one.state + more;
};

// Above the hosts -----------------------------------------------------------------------------
const counts = (hosts) => {
  const of = (state) => hosts.filter((one) => one.state === state).length;
  const words = [of("live") + " of " + hosts.length + " hosts live"];
  for (const state of ["stale", "offline"]) if (of(state)) words.push(of(state) + " " + state);
  const alerts = hosts.reduce((sum, one) => sum + one.alerts.length, 0);
  if (alerts) words.push(alerts === 1 ? "1 alert" : alerts + " alerts");
  return words.join(" · ");
};

let newest = null;
const showNotice = (why) => {
  const notice = get("notice");
  setText(notice, why);
  notice.hidden = !why;
};
const noticeOf = (fleet) => {
  if (fleet.live) return "";
  if (!fleet.as_of_ms) return "No data yet: the hub has not connected";
  return "Hub disconnected: showing data as of " + moment(fleet.as_of_ms);
};

let alertsShown = null;
const showAlerts = (hosts) => {
  const all = hosts.flatMap((one) => one.alerts.map((alert) => ({ ...alert, host: one.name })));
  const key = JSON.stringify(all);
  if (key === alertsShown) return;
  alertsShown = key;
  get("alerts").hidden = all.length === 0;
  get("alerts").querySelector("ul").replaceChildren(...all.map((alert) => {
    const acknowledged = alert.acknowledged_ms ? ", acknowledged " + moment(alert.acknowledged_ms) : "";
    const line = make("li", "", alert.severity + (acknowledged ? " acknowledged" : "")), sign = make("span", acknowledged ? "△" : "▲");
    sign.setAttribute("aria-hidden", "true");
    line.append(sign, " " + alert.severity + " ");
    if (!host) {
      const link = make("a", alert.host);
      link.href = "/hosts/" + encodeURIComponent(alert.host);
      line.append(link, " ");
    }
    line.append([alert.rule, alert.summary || ""].join(" ") + " ", make("small", "since " + moment(alert.since_ms) + acknowledged));
    return line;
  }));
};

// All hosts -----------------------------------------------------------------------------------
const rows = () => [...document.querySelectorAll("#fleet tbody tr")];

const hasOtherHosts = (fleet) => {
  const shown = rows().map((row) => row.dataset.host);
  const columns = document.querySelectorAll("#fleet thead th.number").length;
  return columns !== fleet.metrics.length || shown.join("\n") !== fleet.hosts.map((one) => one.name).join("\n");
};

let fetched = 0;
const reload = async () => {
  if (Date.now() - fetched < 3000) return;
  fetched = Date.now();
  const focused = document.activeElement && document.activeElement.closest("[data-host]");
  const answer = await fetch(location.pathname);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  get("main").replaceWith(page.getElementById("main"));
  alertsShown = null;
  const again = rows().find((row) => focused && row.dataset.host === focused.dataset.host);
  if (again) again.querySelector("a").focus();
};

const showFleet = (fleet) => {
  if (hasOtherHosts(fleet)) reload().catch(() => {});
  const byName = new Map(fleet.hosts.map((one) => [one.name, one]));
  for (const row of rows()) {
    const one = byName.get(row.dataset.host);
    if (!one) continue;
    row.className = one.state;
    showState(row.cells[1], one, one.alerts.length ? " ▲" : "");
    showValues(row, one.metrics);
  }
};

let servicesShown = null;
const watchServices = async () => {
  const answer = await fetch("/api/v1/services");
  if (!answer.ok) return;
  const { services, incidents } = await answer.json(), key = JSON.stringify([services.map((one) => [one.name, one.state, one.uptime["24h"]]), incidents]);
  if (servicesShown !== null && servicesShown !== key) await reload();
  servicesShown = key;
};

const line = (points) => {
  let path = "", isDown = false;
  points.forEach((value, at) => {
    if (value !== null) path += (isDown ? "L" : "M") + Math.round(at * 120 / (points.length - 1)) + " " + (23 - 22 * Math.min(Math.max(value, 0), 1)).toFixed(1) + (isDown ? "" : "h1");
    isDown = value !== null;
  });
  return path;
};
const drawSparks = async () => {
  const answer = await fetch("/api/v1/sparks?metric=cpu");
  if (!answer.ok) return;
  const { hosts } = await answer.json();
  for (const row of rows()) {
    const path = row.querySelector(".spark path"), points = hosts[row.dataset.host];
    if (path && points) path.setAttribute("d", line(points));
  }
};

// One host ------------------------------------------------------------------------------------
const GROUPS = [
  ["CPU", [["cpu", ""]]], ["Memory", [["mem", ""]]], ["Load", [["load1", ""]]],
  ["Network, per second", [["net.rx", "in"], ["net.tx", "out"]]], ["Disks, per second", [["disk.read", "read"], ["disk.write", "write"]]],
  ["Fullest filesystem", [["fs.worst", ""]]], ["Hottest sensor", [["temp.max", ""]]],
];
const HEIGHT = 150;
let span = 3600000;
let charts = [];

const legend = (chart, at) => {
  const [times] = chart.plot.data;
  const place = at === null || at === undefined ? times.length - 1 : at;
  const words = chart.metrics.map(([metric, name], n) => {
    const made = make("b", (name ? name + " " : "") + text(metric, chart.plot.data[n + 1][place]), n ? "two" : "one");
    return [made, " "];
  });
  chart.legend.replaceChildren(...words.flat(), at === null || at === undefined ? "" : clock(times[place] * 1000));
};

const options = (chart) => {
  const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  const [metric] = chart.metrics[0];
  const time = (plot, values) => values.map((value) => new Date(value * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  const series = ([, name], n) => {
    const stroke = colour(n ? "--graph-2" : "--graph");
    return { label: name, stroke, fill: n ? undefined : stroke + "26", width: 1.5, spanGaps: false, points: { size: 4 } };
  };
  return {
    width: Math.max(chart.place.clientWidth, 150), height: HEIGHT, legend: { show: false },
    cursor: { sync: { key: "time" }, drag: { setScale: false }, y: false },
    scales: { y: isShare(metric) ? { range: [0, 1] } : { range: (plot, low, high) => [0, Math.max(high * 1.1, metric === "load1" ? 1 : 10)] } },
    axes: [{ ...axis, values: time, space: 70, size: 26 }, { ...axis, size: 60, values: (plot, values) => values.map((value) => text(metric, value)) }],
    series: [{}, ...chart.metrics.map(series)],
    hooks: { setCursor: [(plot) => legend(chart, plot.cursor.idx)] },
  };
};

const series = async (metric, to) => {
  const query = new URLSearchParams({ metric, from: to - span, to, step: Math.ceil(span / 360) });
  const answer = await fetch("/api/v1/hosts/" + encodeURIComponent(host) + "/series?" + query);
  if (!answer.ok) throw new Error(answer.status);
  return (await answer.json()).points;
};

const fill = async (chart) => {
  const to = newest && newest.as_of_ms ? newest.as_of_ms : Date.now();
  const all = await Promise.all(chart.metrics.map(([metric]) => series(metric, to)));
  const data = [all[0].map((point) => point[0] / 1000), ...all.map((points) => points.map((point) => point[1]))];
  if (chart.plot) chart.plot.setData(data); else chart.plot = new uPlot(options(chart), data, chart.place);
  legend(chart, null);
  const most = Math.max(...data.slice(1).flat().map((value) => value || 0));
  chart.place.setAttribute("aria-label", chart.title + ": now " + chart.legend.textContent.trim() + ", peak " + text(chart.metrics[0][0], most));
};
const fillAll = () => Promise.all(charts.map((chart) => fill(chart).catch(() => {})));

const makeCharts = (metrics) => {
  for (const chart of charts) if (chart.plot) chart.plot.destroy();
  const shown = GROUPS.map(([title, group]) => [title, group.filter(([metric]) => metrics.includes(metric))]);
  charts = shown.filter(([, group]) => group.length).map(([title, group]) => {
    const figure = make("figure"), caption = make("figcaption", title), words = make("span"), place = make("div");
    place.setAttribute("role", "img");
    caption.append(words);
    figure.append(caption, place);
    return { title, metrics: group, legend: words, place, figure, plot: null };
  });
  get("charts").replaceChildren(...charts.map((chart) => chart.figure));
  fillAll();
};

const showHost = (fleet) => {
  const one = fleet.hosts.find((candidate) => candidate.name === host);
  if (!one) return;
  const since = one.state !== "live" && one.last_sample_ms ? ", last sample at " + moment(one.last_sample_ms) : "";
  showState(get("state"), one, since);
  showValues(get("values"), one.metrics);
};

const startHost = () => {
  const metrics = [...document.querySelectorAll("#values [data-metric]")].map((cell) => cell.dataset.metric);
  const buttons = [...get("ranges").querySelectorAll("button")];
  const choose = (button) => {
    span = Number(button.dataset.span);
    for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      choose(button);
      history.replaceState(null, "", "#" + button.textContent.replace(" ", ""));
      fillAll();
    });
    if (location.hash === "#" + button.textContent.replace(" ", "")) choose(button);
  }
  get("ranges").hidden = false;
  makeCharts(metrics);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => makeCharts(metrics));
  addEventListener("resize", () => {
    for (const chart of charts) if (chart.plot) chart.plot.setSize({ width: Math.max(chart.place.clientWidth, 150), height: HEIGHT });
  });
};

// Live ----------------------------------------------------------------------------------------
let received = Date.now();
const show = (json) => {
  const fleet = JSON.parse(json);
  [newest, received] = [fleet, Date.now()];
  setText(get("status"), counts(fleet.hosts));
  showNotice(noticeOf(fleet));
  showAlerts(host ? fleet.hosts.filter((one) => one.name === host) : fleet.hosts);
  if (host) showHost(fleet); else showFleet(fleet);
};

let failures = 0;
const watch = () => {
  const socket = new WebSocket((location.protocol === "https:" ? "wss://" : "ws://") + location.host + "/api/v1/live");
  socket.onmessage = (event) => { failures = 0; show(event.data); };
  socket.onclose = () => {
    failures += 1;
    // Proxies that block WebSockets often let server-sent events through.
    if (failures === 3) listen(); else setTimeout(watch, Math.min(1000 * 2 ** failures, 30000) * (0.5 + Math.random() / 2));
  };
};
const listen = () => {
  const events = new EventSource("/api/v1/events");
  events.onmessage = (event) => show(event.data);
  events.onerror = () => { if (events.readyState === EventSource.CLOSED) setTimeout(watch, 30000); };
};

if (host) startHost();
watch();
setInterval(() => {
  if (Date.now() - received > 15000) showNotice("Connection lost" + (newest ? ": showing data as of " + moment(newest.as_of_ms) : "") + "; reconnecting");
}, 5000);
setInterval(() => { if (!document.hidden) (host ? fillAll() : drawSparks().then(watchServices)).catch(() => {}); }, 10000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) (host ? fillAll() : drawSparks()).catch(() => {}); });
