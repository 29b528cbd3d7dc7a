// Every word of the page, in each language. Both have every key: the compiler holds it.

import type { Hint, PoseName } from "./guidance";

export const LANGUAGES = ["en", "ko"] as const;
export type Language = (typeof LANGUAGES)[number];

export interface Strings {
  readonly language: string;
  readonly title: string;
  readonly intro: string;
  readonly points: readonly [string, string, string];
  readonly privacy: string;
  readonly late: string;
  readonly start: string;
  readonly goOn: (done: number, all: number) => string;
  readonly upload: string;
  readonly back: string;
  readonly stop: string;
  readonly cameraTitle: string;
  readonly previewLabel: string;
  readonly progress: (done: number, all: number) => string;
  readonly hints: Readonly<Record<Hint, string>>;
  readonly poses: Readonly<Record<PoseName, string>>;
  readonly again: string;
  /** Title and text, by why the camera cannot be used. */
  readonly noCamera: Readonly<Record<"denied" | "missing" | "busy" | "unseen", readonly [string, string]>>;
  readonly filesTitle: string;
  readonly filesHelp: string;
  readonly choose: string;
  readonly checking: string;
  readonly accepted: string;
  readonly needMore: (missing: number) => string;
  readonly have: (there: number) => string;
  readonly enroll: string;
  readonly picture: (number: number) => string;
  readonly measures: Readonly<Record<string, string>>;
  readonly sending: string;
  readonly workingTitle: string;
  readonly stages: Readonly<Record<string, string>>;
  readonly doneTitle: string;
  readonly doneText: string;
  readonly meshLabel: string;
  readonly meshHelp: string;
  readonly returnToApp: string;
  readonly close: string;
  readonly rejectedTitle: string;
  readonly rejectedText: string;
  readonly problems: Readonly<Record<string, string>>;
  readonly tryAgain: string;
  readonly attempts: (left: number) => string;
  readonly offline: string;
  readonly online: string;
  readonly slow: string;
  readonly busy: string;
  readonly expiredTitle: string;
  readonly expiredText: string;
  readonly sentTitle: string;
  readonly sentText: string;
  readonly spentTitle: string;
  readonly spentText: string;
  readonly failedTitle: string;
  readonly failedText: string;
  readonly serverGuidance: string;
  readonly switchTo: string;
}

const en: Strings = {
  language: "English",
  title: "Set up your face",
  intro: "Look at the camera and turn your head slowly. The pictures are taken by themselves; it takes less than a minute.",
  points: [
    "Find an evenly lit place, without a window behind you.",
    "Take off a hat or mask, and glasses if they mirror.",
    "Hold the phone at eye level, an arm's length away.",
  ],
  privacy: "Your face is looked for on this device. Only the pictures that are taken are sent, encrypted.",
  late: "Does nothing happen? Check the connection and load the page again, or open the link in another browser.",
  start: "Start the camera",
  goOn: (done, all) => `Go on: ${done} of ${all} pictures are taken`,
  upload: "Choose pictures instead",
  back: "Back",
  stop: "Stop",
  cameraTitle: "Turn your head as you are told",
  previewLabel: "Your camera, as in a mirror",
  progress: (done, all) => `${done} of ${all} pictures taken`,
  hints: {
    loading: "One moment …",
    noFace: "Put your face in the oval",
    twoFaces: "Only one person, please",
    moreLight: "Your face needs more light",
    lessLight: "Too bright: turn away from the light",
    closer: "Come closer",
    farther: "A little farther away",
    center: "Put your face in the middle",
    upright: "Hold your head upright",
    glasses: "Your glasses mirror: tilt or take them off",
    lookAhead: "Look straight at the camera",
    turnLeft: "Turn your head slowly to the left",
    turnRight: "Turn your head slowly to the right",
    chinUp: "Lift your chin a little",
    chinDown: "Lower your chin a little",
    turnLess: "Not quite so far",
    holdStill: "Good. Hold still",
    taken: "Taken",
  },
  poses: {
    front: "straight ahead", left: "left", right: "right", up: "up", down: "down",
    "half-left": "half left", "half-right": "half right",
  },
  again: "That picture will not do; once more, please.",
  noCamera: {
    denied: [
      "The camera is not allowed",
      "Allow it in the settings of your browser and try again, or choose pictures instead.",
    ],
    missing: ["No camera was found", "Open the link on a phone, or choose pictures instead."],
    busy: ["The camera has stopped", "Close other apps that may use it and try again, or choose pictures instead."],
    unseen: [
      "Guidance could not be loaded",
      "Check the connection and try again, or choose pictures instead. What was taken is not lost.",
    ],
  },
  filesTitle: "Choose pictures of your face",
  filesHelp: "Three or more: one straight ahead, one turned to the left and one to the right. Best are five, with chin up and chin down too.",
  choose: "Choose pictures",
  checking: "Being checked …",
  accepted: "Good",
  needMore: (missing) => (missing === 1 ? "One more picture is needed." : `${missing} more pictures are needed.`),
  have: (there) => (there === 1 ? "One good picture is there." : `${there} good pictures are there.`),
  enroll: "Go on with these pictures",
  picture: (number) => `Picture ${number}`,
  measures: {
    face_count: "There must be exactly one face in the picture.",
    face_presence: "No face can be seen clearly.",
    face_in_frame: "The whole face must be in the picture.",
    face_size: "The face is too small: come closer.",
    sharpness: "The picture is blurred: hold still and wipe the lens.",
    exposure: "The light is too dark or too bright.",
    yaw: "The head is turned too far to the side.",
    pitch: "The chin is too high or too low.",
    roll: "Hold head and phone upright.",
    unreadable: "This file cannot be read. Choose a JPEG picture.",
    other: "This picture cannot be used.",
  },
  sending: "Sending your pictures …",
  workingTitle: "Your face is being measured",
  stages: {
    queued: "Waiting for a free place …", decoding: "Reading the pictures …", assessing: "Looking at each picture …",
    fitting: "Working out the shape …", storing: "Storing it safely …",
  },
  doneTitle: "Done",
  doneText: "This is the shape that was stored. A kiosk compares your face with it.",
  meshLabel: "Your face as a turning shape",
  meshHelp: "Drag, or use the arrow keys, to turn it.",
  returnToApp: "Back to the app",
  close: "You can close this page now.",
  rejectedTitle: "That did not work yet",
  rejectedText: "The pictures were not good enough to tell the shape of your face.",
  problems: {
    "stranger-in-set": "Not all pictures show the same person.",
    "skin-does-not-match": "The pictures do not show one person, or the light changed too much between them.",
    "fit-disagrees": "The pictures do not fit together. Take them in even light, and turn your head slowly.",
    "implausible-shape": "The pictures do not fit together. Take them in even light, and turn your head slowly.",
    other: "Please take them once more.",
  },
  tryAgain: "Try again",
  attempts: (left) => (left === 1 ? "You can try one more time." : `You can try ${left} more times.`),
  offline: "No connection. Your pictures are kept on this device and sent as soon as it is back.",
  online: "Connected again",
  slow: "The connection is slow. Nothing is lost; please wait.",
  busy: "Many people are enrolling. Nothing is lost; please wait.",
  expiredTitle: "This link has ended",
  expiredText: "It works for a limited time and for one enrollment. Ask the app that gave it to you for a new one.",
  sentTitle: "Your pictures have arrived",
  sentText: "The time of this link is over, so this page cannot show how it ends. The app that gave you the link will.",
  spentTitle: "No attempt is left",
  spentText: "Ask the app that gave you the link for a new one.",
  failedTitle: "Something went wrong on our side",
  failedText: "Nothing was lost. Please try again in a moment.",
  serverGuidance: "This browser cannot look for faces itself; small pictures are sent for guidance.",
  switchTo: "한국어",
};

const ko: Strings = {
  language: "한국어",
  title: "얼굴 등록",
  intro: "카메라를 보면서 고개를 천천히 돌려 주세요. 사진은 자동으로 찍히며 1분이 채 걸리지 않습니다.",
  points: [
    "창문을 등지지 말고 빛이 고른 곳에서 진행해 주세요.",
    "모자와 마스크를 벗고, 안경에 빛이 비치면 안경도 벗어 주세요.",
    "휴대전화를 눈높이에서 팔 하나 거리로 들어 주세요.",
  ],
  privacy: "얼굴 찾기는 이 기기에서 이루어집니다. 촬영된 사진만 암호화되어 전송됩니다.",
  late: "아무 반응이 없나요? 연결을 확인하고 페이지를 다시 불러오거나 다른 브라우저에서 링크를 열어 주세요.",
  start: "카메라 시작",
  goOn: (done, all) => `이어서 하기: 사진 ${all}장 중 ${done}장 촬영됨`,
  upload: "사진 선택으로 진행",
  back: "뒤로",
  stop: "중지",
  cameraTitle: "안내에 따라 고개를 돌려 주세요",
  previewLabel: "거울처럼 보이는 카메라 화면",
  progress: (done, all) => `사진 ${all}장 중 ${done}장 촬영`,
  hints: {
    loading: "잠시만 기다려 주세요 …",
    noFace: "얼굴을 타원 안에 맞춰 주세요",
    twoFaces: "한 사람만 나와야 합니다",
    moreLight: "얼굴이 너무 어둡습니다",
    lessLight: "너무 밝습니다. 빛을 피해 주세요",
    closer: "조금 더 가까이 와 주세요",
    farther: "조금 더 멀리 가 주세요",
    center: "얼굴을 가운데에 맞춰 주세요",
    upright: "고개를 똑바로 세워 주세요",
    glasses: "안경에 빛이 비칩니다. 기울이거나 벗어 주세요",
    lookAhead: "정면을 봐 주세요",
    turnLeft: "고개를 왼쪽으로 천천히 돌려 주세요",
    turnRight: "고개를 오른쪽으로 천천히 돌려 주세요",
    chinUp: "턱을 조금 들어 주세요",
    chinDown: "턱을 조금 내려 주세요",
    turnLess: "조금만 덜 돌려 주세요",
    holdStill: "좋습니다. 그대로 계세요",
    taken: "찍었습니다",
  },
  poses: {
    front: "정면", left: "왼쪽", right: "오른쪽", up: "위", down: "아래", "half-left": "왼쪽 중간", "half-right": "오른쪽 중간",
  },
  again: "이 사진은 사용할 수 없습니다. 다시 찍어 주세요.",
  noCamera: {
    denied: ["카메라를 사용할 수 없습니다", "브라우저 설정에서 카메라를 허용하고 다시 시도하거나, 사진을 선택해 주세요."],
    missing: ["카메라를 찾을 수 없습니다", "휴대전화에서 링크를 열거나, 사진을 선택해 주세요."],
    busy: ["카메라가 멈췄습니다", "카메라를 쓰는 다른 앱을 닫고 다시 시도하거나, 사진을 선택해 주세요."],
    unseen: [
      "안내를 불러오지 못했습니다",
      "연결을 확인하고 다시 시도하거나, 사진을 선택해 주세요. 찍은 사진은 그대로 있습니다.",
    ],
  },
  filesTitle: "얼굴 사진을 선택해 주세요",
  filesHelp: "정면, 왼쪽, 오른쪽으로 한 장씩 세 장 이상이 필요합니다. 턱을 든 사진과 내린 사진까지 다섯 장이면 가장 좋습니다.",
  choose: "사진 선택",
  checking: "확인하는 중 …",
  accepted: "좋습니다",
  needMore: (missing) => `사진이 ${missing}장 더 필요합니다.`,
  have: (there) => `좋은 사진이 ${there}장 있습니다.`,
  enroll: "이 사진으로 계속하기",
  picture: (number) => `사진 ${number}`,
  measures: {
    face_count: "사진에 얼굴이 하나만 있어야 합니다.",
    face_presence: "얼굴이 또렷하게 보이지 않습니다.",
    face_in_frame: "얼굴 전체가 사진 안에 있어야 합니다.",
    face_size: "얼굴이 너무 작습니다. 더 가까이 찍어 주세요.",
    sharpness: "사진이 흐립니다. 움직이지 말고 렌즈를 닦아 주세요.",
    exposure: "너무 어둡거나 너무 밝습니다.",
    yaw: "고개가 옆으로 너무 많이 돌아갔습니다.",
    pitch: "턱이 너무 높거나 낮습니다.",
    roll: "머리와 휴대전화를 똑바로 세워 주세요.",
    unreadable: "이 파일은 읽을 수 없습니다. 다른 사진을 선택해 주세요.",
    other: "이 사진은 사용할 수 없습니다.",
  },
  sending: "사진을 보내는 중 …",
  workingTitle: "얼굴 형태를 측정하고 있습니다",
  stages: {
    queued: "순서를 기다리는 중 …", decoding: "사진을 읽는 중 …", assessing: "사진을 하나씩 확인하는 중 …",
    fitting: "형태를 계산하는 중 …", storing: "안전하게 저장하는 중 …",
  },
  doneTitle: "완료되었습니다",
  doneText: "저장된 얼굴 형태입니다. 키오스크에서 이 형태와 비교합니다.",
  meshLabel: "회전하는 얼굴 형태",
  meshHelp: "끌거나 화살표 키를 눌러 돌려 볼 수 있습니다.",
  returnToApp: "앱으로 돌아가기",
  close: "이제 이 페이지를 닫아도 됩니다.",
  rejectedTitle: "아직 완료되지 않았습니다",
  rejectedText: "얼굴 형태를 알아내기에 사진이 충분하지 않았습니다.",
  problems: {
    "stranger-in-set": "모든 사진이 같은 사람의 것이 아닙니다.",
    "skin-does-not-match": "사진들이 한 사람의 것이 아니거나, 사진마다 빛이 너무 달랐습니다.",
    "fit-disagrees": "사진들이 서로 맞지 않습니다. 고른 빛에서 고개를 천천히 돌리며 다시 찍어 주세요.",
    "implausible-shape": "사진들이 서로 맞지 않습니다. 고른 빛에서 고개를 천천히 돌리며 다시 찍어 주세요.",
    other: "다시 한 번 찍어 주세요.",
  },
  tryAgain: "다시 시도",
  attempts: (left) => `앞으로 ${left}번 더 시도할 수 있습니다.`,
  offline: "인터넷에 연결되어 있지 않습니다. 사진은 이 기기에 보관되며 다시 연결되면 바로 전송됩니다.",
  online: "다시 연결되었습니다",
  slow: "연결이 느립니다. 잃어버린 것은 없으니 잠시만 기다려 주세요.",
  busy: "이용하는 사람이 많습니다. 잃어버린 것은 없으니 잠시만 기다려 주세요.",
  expiredTitle: "이 링크는 만료되었습니다",
  expiredText: "링크는 정해진 시간 동안 한 번의 등록에만 쓸 수 있습니다. 링크를 보낸 앱에서 새 링크를 받아 주세요.",
  sentTitle: "사진이 전송되었습니다",
  sentText: "링크의 시간이 끝나 이 페이지에서는 결과를 보여 드릴 수 없습니다. 결과는 링크를 보낸 앱에서 확인해 주세요.",
  spentTitle: "더 시도할 수 없습니다",
  spentText: "링크를 보낸 앱에서 새 링크를 받아 주세요.",
  failedTitle: "서비스에 문제가 생겼습니다",
  failedText: "잃어버린 것은 없습니다. 잠시 후 다시 시도해 주세요.",
  serverGuidance: "이 브라우저에서는 얼굴을 찾을 수 없어, 안내를 위해 작은 사진을 서버로 보냅니다.",
  switchTo: "English",
};

export const STRINGS: Readonly<Record<Language, Strings>> = { en, ko };
