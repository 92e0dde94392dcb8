// Shows every moment in the viewer's own zone, keeps the sections current, and tells the figures under the pointer.
// The page is complete without this file.
"use strict";

const REFRESH_MILLISECONDS = 30000;
const SECTIONS = "main [id^='s-'], main [id^='subject-']";
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function localise(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    element.title = element.dateTime;
    element.textContent = absolute.format(at);
  }
  const zone = root.querySelector("[data-zone]");
  if (zone) zone.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
}

// -- the figures under the pointer: the picture says which pixels are which seconds, the table has the figures

async function plot(image) {
  const answer = await fetch(image.currentSrc);
  if (!answer.ok) return null;
  // Read as text: a parsed picture would bring its style sheet under this page's policy.
  const text = await answer.text();
  const [begin, end, left, right] = (text.match(/data-time="([^"]*)"/) || ["", ""])[1].split(" ").map(Number);
  const width = Number((text.match(/ width="([\d.]+)"/) || [0, 0])[1]);
  return { begin, end, left, right, width, source: image.currentSrc };
}

function nearest(rows, seconds) {
  let found = null;
  for (const row of rows) {
    const distance = Math.abs(new Date(row.querySelector("time").dateTime) / 1000 - seconds);
    if (!found || distance < found.distance) found = { row, distance };
  }
  return found && found.row;
}

function explain(figure) {
  const image = figure.querySelector("img");
  const rows = [...figure.querySelectorAll("tbody tr")].filter((row) => row.querySelector("time"));
  const names = [...figure.querySelectorAll("thead th")].map((cell) => cell.textContent);
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true"); // the table says the same
  figure.append(tip);
  let known = null;
  image.addEventListener("pointerenter", async () => {
    if (!known || known.source !== image.currentSrc) known = await plot(image);
  });
  image.addEventListener("pointerleave", () => { tip.hidden = true; });
  image.addEventListener("pointermove", (event) => {
    if (!known || !(known.right > known.left)) return;
    const box = image.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * known.width;
    const seconds = known.begin + ((x - known.left) / (known.right - known.left)) * (known.end - known.begin);
    const row = nearest(rows, seconds);
    if (!row) return;
    const cells = [...row.cells].map((cell) => cell.textContent);
    tip.textContent = cells.map((text, place) => (place ? `${names[place]} ${text}` : text)).join(" \u00b7 ");
    tip.hidden = false;
    const around = figure.getBoundingClientRect();
    tip.style.left = `${Math.max(0, Math.min(event.clientX - around.left + 12, around.width - tip.offsetWidth))}px`;
    tip.style.top = `${event.clientY - around.top + 16}px`;
  });
}

// -- fresh sections: only what changed is replaced, and never what somebody is at

const shown = new Map();

function replaced(old, fresh) {
  const open = [...old.querySelectorAll("details")].map((details) => details.open);
  const scrolled = [...old.querySelectorAll(".scroll")].map((element) => element.scrollTop);
  old.replaceWith(fresh);
  [...fresh.querySelectorAll("details")].forEach((details, place) => { if (place in open) details.open = open[place]; });
  [...fresh.querySelectorAll(".scroll")].forEach((element, place) => { element.scrollTop = scrolled[place] || 0; });
}

function show(fresh) {
  const said = document.querySelector("h1").textContent;
  for (const old of document.querySelectorAll(SECTIONS)) {
    const section = fresh.getElementById(old.id);
    if (!section || section.outerHTML === shown.get(old.id) || old.contains(document.activeElement)) continue;
    shown.set(old.id, section.outerHTML);
    const copy = document.importNode(section, true);
    localise(copy);
    replaced(old, copy);
    copy.querySelectorAll("[data-figures]").forEach(explain);
  }
  document.querySelector("#foot time").replaceWith(document.importNode(fresh.querySelector("#foot time"), true));
  localise(document.querySelector("#foot"));
  document.title = fresh.title;
  const now = document.querySelector("h1").textContent;
  if (now !== said) document.querySelector("[data-said]").textContent = now;
}

const names = (root) => [...root.querySelectorAll(SECTIONS)].map((section) => section.id).join();

let asked = 0;
let newest = 0;

async function refresh() {
  const number = (asked += 1);
  const answer = await fetch(location.href, { cache: "no-store" });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (number < newest) return; // what was asked for later is shown already
  newest = number;
  if (names(fresh) === names(document)) show(fresh);
  else location.reload(); // an incident opened or a deployment came: everything may have moved
}

function keepFresh() {
  const button = document.createElement("button");
  const said = document.createElement("span");
  said.className = "reader";
  said.dataset.said = "";
  said.setAttribute("role", "status");
  let timer = null;
  const quietly = () => refresh().catch(() => {}); // the sidecar may be away; the next time will tell
  const toggle = () => {
    if (timer) clearInterval(timer);
    timer = timer ? null : setInterval(() => { if (!document.hidden) quietly(); }, REFRESH_MILLISECONDS);
    button.textContent = timer ? "Stop refreshing" : "Refresh every 30 s";
  };
  button.type = "button";
  button.addEventListener("click", toggle);
  document.querySelector("[data-refresher]").append(button, said);
  toggle();
  document.addEventListener("eqwatch:refresh", quietly);
}

if (document.body.hasAttribute("data-refresh")) {
  for (const section of document.querySelectorAll(SECTIONS)) shown.set(section.id, section.outerHTML);
  keepFresh();
}
localise(document);
document.querySelectorAll("[data-figures]").forEach(explain);
