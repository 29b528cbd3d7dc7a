// The kiosk's page: shows what the kiosk says, and asks for a visit. Nothing is kept here.
"use strict";

const $ = (id) => document.getElementById(id);
const root = document.documentElement;
const SCALE_MM = [200, 1100];
const SHAPES = {
  good: "M26 52 L43 69 L75 33",
  bad: "M32 32 L68 68 M68 32 L32 68",
  unsure: "M50 26 L50 56 M50 73 L50 74",
  idle: "M30 38 V30 H38 M62 30 H70 V38 M70 62 V70 H62 M38 70 H30 V62 M42 44 V47 M58 44 V47 M42 58 Q50 65 58 58",
};
const TONES = { MATCH: "good", NO_MATCH: "bad", PRESENTATION_ATTACK: "bad", INCONCLUSIVE: "unsure", TIMED_OUT: "unsure", CANCELLED: "unsure" };
// The preview is a mirror: the person's left is on the left.
const ARROWS = {
  "move-left": "M70 50 H25 M45 30 L25 50 L45 70", "turn-left": "M72 66 Q64 32 28 40 M46 24 L28 40 L46 58",
  "move-right": "M30 50 H75 M55 30 L75 50 L55 70", "turn-right": "M28 66 Q36 32 72 40 M54 24 L72 40 L54 58",
  "move-up": "M50 74 V26 M30 46 L50 26 L70 46", "chin-up": "M50 74 V26 M30 46 L50 26 L70 46",
  "move-down": "M50 26 V74 M30 54 L50 74 L70 54", "chin-down": "M50 26 V74 M30 54 L50 74 L70 54",
  "come-closer": "M30 30 L18 18 M70 30 L82 18 M30 70 L18 82 M70 70 L82 82 M18 32 V18 H32 M68 18 H82 V32 M18 68 V82 H32 M68 82 H82 V68",
  "step-back": "M18 18 L32 32 M82 18 L68 32 M18 82 L32 68 M82 82 L68 68 M32 20 V32 H20 M80 32 H68 V20 M20 68 H32 V80 M68 80 V68 H80",
};

let words = null;
let language = (navigator.languages || ["en"]).some((l) => l.startsWith("ko")) ? "ko" : "en";
let state = { stage: "idle", advice: "", progress: 0, distance_mm: null, good_mm: [350, 750], decision: "", code: "" };
let said = "";
let stageSaid = "";
let changeAfter = 0;

const asked = new URLSearchParams(location.search).get("lang");
if (asked === "ko" || asked === "en") language = asked;

function sentence() {
  const w = words[language];
  if (state.stage === "guiding") return w.advice[state.advice] || w.advice["step-up"];
  if (state.stage === "checking") return w.checking;
  if (state.stage === "result") {
    const [say, more] = w.result[state.decision] || w.trouble[""];
    return [say, state.offline ? `${more} ${w.offline}` : more];
  }
  if (state.stage === "trouble") return w.trouble[state.code] || w.trouble[state.code.startsWith("camera") ? "camera" : ""];
  return w.idle;
}

function draw() {
  if (!words) return;
  const w = words[language];
  root.lang = language;
  document.title = w.title;
  const tone = state.stage === "result" ? TONES[state.decision] || "unsure" : state.stage === "trouble" ? "unsure" : "";
  if (root.dataset.stage !== state.stage) root.dataset.stage = state.stage;
  root.dataset.tone = tone;
  root.dataset.advice = state.stage === "guiding" ? state.advice : "";
  // Advice that changes at every frame cannot be read: each stays for half a second.
  const [say, more] = sentence();
  const now = performance.now();
  const sooner = stageSaid === "guiding" && state.stage === "guiding" && now < changeAfter;
  if (say !== said && sooner) setTimeout(draw, changeAfter - now + 1);
  if (say !== said && !sooner) {
    $("say").textContent = say;
    $("more").textContent = more;
    said = say;
    stageSaid = state.stage;
    changeAfter = now + 500;
    const arrow = state.stage === "guiding" ? ARROWS[state.advice] || "" : "";
    $("hint-path").setAttribute("d", arrow);
    $("hint").classList.toggle("shown", arrow !== "");
  }
  $("badge-path").setAttribute("d", SHAPES[tone || "idle"]);
  $("arc").setAttribute("stroke-dasharray", `${Math.round(100 * state.progress)} 100`);
  const share = (mm) => Math.min(100, Math.max(0, (100 * (mm - SCALE_MM[0])) / (SCALE_MM[1] - SCALE_MM[0])));
  $("good").style.left = `${share(state.good_mm[0])}%`;
  $("good").style.width = `${share(state.good_mm[1]) - share(state.good_mm[0])}%`;
  $("here").style.left = `${share(state.distance_mm ?? SCALE_MM[1])}%`;
  $("here").style.visibility = state.distance_mm === null ? "hidden" : "visible";
  $("cancel").hidden = state.stage !== "guiding";
  for (const id of ["where", "ask", "begin", "cancel", "near", "far"]) $(id).textContent = w[id];
  for (const b of document.querySelectorAll("[data-language]")) b.setAttribute("aria-pressed", String(b.dataset.language === language));
  const live = state.stage === "guiding" || state.stage === "checking";
  if (live && !$("preview").classList.contains("live")) { $("preview").src = `preview?${state.number}`; $("preview").classList.add("live"); }
  if (!live && $("preview").classList.contains("live")) { $("preview").removeAttribute("src"); $("preview").classList.remove("live"); }
}

function follow() {
  const events = new EventSource("events");
  events.onmessage = (event) => { state = JSON.parse(event.data); draw(); };
  events.onerror = () => { state = { ...state, stage: "trouble", code: "", progress: 0 }; draw(); };
}

for (const b of document.querySelectorAll("[data-language]")) {
  b.addEventListener("click", () => { language = b.dataset.language; said = ""; draw(); });
}
$("start").addEventListener("submit", (event) => {
  event.preventDefault();
  const subject = $("subject").value.trim();
  $("subject").value = "";
  if (!subject) return;
  fetch("visits", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ subject_id: subject }) }).catch(() => {});
});
$("cancel").addEventListener("click", () => { fetch("cancel", { method: "POST" }).catch(() => {}); });

fetch("words.json").then((answer) => answer.json()).then((content) => { words = content; draw(); follow(); });
