// Shows every moment in the viewer's own zone. The page is complete without this file.
"use strict";

const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

for (const element of document.querySelectorAll("time[datetime]")) {
  const at = new Date(element.dateTime);
  if (Number.isNaN(at.getTime())) continue;
  element.title = element.dateTime;
  element.textContent = (element.dataset.show === "clock" ? clock : absolute).format(at);
}
const zone = document.querySelector("[data-zone]");
if (zone) zone.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
