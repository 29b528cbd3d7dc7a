// The console without this file works too: it keeps live parts fresh, asks before what has consequences,
// and shows a face in the page instead of one of its own.
"use strict";

const REFRESH = { Accept: "text/html", "X-Console-Refresh": "yes" };
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

// Somebody reads, writes or has just pressed: not now.
function busy(part) {
  const selection = getSelection();
  const selects = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  return document.hidden || selects || part.querySelector("input:focus") || document.querySelector("form[data-sent]");
}

const mark = (element) => [element.tagName, element.href, element.form?.action, element.textContent].join(" ");

// New content in the old place: the focus and what was scrolled sideways stay.
function put(part, fresh) {
  const focused = part.contains(document.activeElement) && mark(document.activeElement);
  const scrolled = [...part.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
  part.replaceChildren(...fresh.childNodes);
  part.dataset.live = fresh.dataset.live || "";
  part.querySelectorAll(".scroll").forEach((box, k) => { box.scrollLeft = scrolled[k] || 0; });
  if (!focused) return;
  [...part.querySelectorAll("a, button")].find((one) => mark(one) === focused)?.focus({ preventScroll: true });
}

async function refresh(part) {
  try {
    const answer = await fetch(part.dataset.from || location.href, { headers: REFRESH });
    if (answer.redirected) { location.reload(); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (busy(part)) return;
    put(part, fresh.getElementById(part.id));
    if (!part.dataset.from) document.title = fresh.title;
    document.querySelector("footer").textContent = fresh.querySelector("footer").textContent;
    document.body.classList.remove("stale");
  } catch {
    document.body.classList.add("stale");
  }
}

async function live(part) {
  while (Number(part.dataset.live)) {
    await pause(Number(part.dataset.live));
    if (!busy(part)) await refresh(part);
  }
}

document.querySelectorAll("[data-live]").forEach(live);

async function draw(form) {
  const place = document.getElementById("face");
  place.textContent = "Drawing…";
  const headers = { Accept: "image/png, application/problem+json" };
  const answer = await fetch(form.action, { method: "POST", headers, body: new URLSearchParams(new FormData(form)) });
  if (answer.status === 401) { location.reload(); return; }
  if (!answer.ok) {
    const problem = await answer.json();
    place.textContent = `It cannot be drawn: ${problem.detail}. ${problem.next_step}`;
    return;
  }
  const picture = new Image();
  picture.alt = "The face of this template from three sides, made from its coefficients";
  picture.src = URL.createObjectURL(await answer.blob());
  await picture.decode();
  URL.revokeObjectURL(picture.src);
  const caption = document.createElement("figcaption");
  caption.textContent = form.dataset.face;
  place.replaceChildren(picture, caption);
  place.scrollIntoView({ block: "nearest" });
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.dataset.sent) { event.preventDefault(); return; }
  if (form.dataset.ask) {
    if (!confirm(form.dataset.ask)) { event.preventDefault(); return; }
    form.elements.sure.value = "yes";
  }
  form.dataset.sent = "yes";
  if (!("face" in form.dataset)) return;
  event.preventDefault();
  try {
    await draw(form);
  } catch {
    document.getElementById("face").textContent = "It cannot be drawn: the service does not answer.";
  }
  delete form.dataset.sent;
});

// Back from another page: what was sent then may be sent again.
addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-sent]").forEach((form) => { delete form.dataset.sent; });
});
