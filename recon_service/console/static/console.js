// The console without this file works too: it keeps live pages fresh, asks before what cannot be taken back,
// and shows a face in the page instead of one of its own.
"use strict";

const main = document.querySelector("main");
const every = Number(main.dataset.live || 0) * 1000;

async function refresh() {
  if (document.hidden || main.querySelector(":focus-within button, input:focus")) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.redirected) { location.reload(); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    main.replaceChildren(...fresh.querySelector("main").childNodes);
    document.querySelector("footer").textContent = fresh.querySelector("footer").textContent;
    document.body.classList.remove("stale");
  } catch {
    document.body.classList.add("stale");
  }
}

if (every > 0) setInterval(refresh, every);

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.dataset.ask && !confirm(form.dataset.ask)) { event.preventDefault(); return; }
  if (!("face" in form.dataset)) return;
  event.preventDefault();
  const place = document.getElementById("face");
  place.textContent = "Drawing…";
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (!answer.ok) throw new Error(String(answer.status));
    const picture = new Image();
    picture.alt = "The face of this template from three sides, made from its coefficients";
    picture.src = await new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      answer.blob().then((blob) => reader.readAsDataURL(blob));
    });
    place.replaceChildren(picture);
  } catch {
    place.textContent = "It cannot be drawn: the service that made this template runs another model, or is busy.";
  }
});
