// The camera of the device, and pictures from it. Everything is a portrait of 3 : 4 from the middle of the frame,
// so that what is sent has its optical center where the service expects it.

export const LOOK_WIDTH = 360;
export const LOOK_HEIGHT = 480;
const LARGEST_HEIGHT = 1280;
const QUALITY = 0.9;

/** denied: it may not be used. missing: there is none. busy: somebody else uses it, or took it away. */
export class CameraRefused extends Error {
  constructor(readonly reason: "denied" | "missing" | "busy") {
    super(reason);
  }
}

const REASONS: Readonly<Record<string, CameraRefused["reason"]>> = {
  NotAllowedError: "denied", SecurityError: "denied", NotReadableError: "busy", AbortError: "busy",
};

/** wanted: whether it is still to be shown when it is open. */
export async function openCamera(video: HTMLVideoElement, wanted: () => boolean): Promise<MediaStream> {
  if (!navigator.mediaDevices?.getUserMedia) throw new CameraRefused("missing");
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 960 }, frameRate: { ideal: 30 } },
    });
  } catch (fault) {
    throw new CameraRefused((fault instanceof DOMException && REASONS[fault.name]) || "missing");
  }
  if (!wanted()) return stream;
  video.srcObject = stream;
  try {
    await video.play();
  } catch {
    closeCamera(stream);
    throw new CameraRefused("busy");
  }
  return stream;
}

export function closeCamera(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

/** The middle 3 : 4 of a source of that size. */
export function portraitOf(width: number, height: number): { x: number; y: number; width: number; height: number } {
  const w = Math.min(width, 0.75 * height), h = Math.min(height, width / 0.75);
  return { x: (width - w) / 2, y: (height - h) / 2, width: w, height: h };
}

export function drawLook(video: HTMLVideoElement, canvas: HTMLCanvasElement): void {
  canvas.width = LOOK_WIDTH;
  canvas.height = LOOK_HEIGHT;
  const part = portraitOf(video.videoWidth, video.videoHeight);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(video, part.x, part.y, part.width, part.height, 0, 0, LOOK_WIDTH, LOOK_HEIGHT);
}

/** The frame as a JPEG file, unmirrored. */
export function takePicture(video: HTMLVideoElement): Promise<Blob> {
  const part = portraitOf(video.videoWidth, video.videoHeight);
  const zoom = Math.min(1, LARGEST_HEIGHT / part.height);
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(part.width * zoom);
  canvas.height = Math.round(part.height * zoom);
  canvas.getContext("2d")!.drawImage(
    video, part.x, part.y, part.width, part.height, 0, 0, canvas.width, canvas.height);
  return jpegOf(canvas);
}

const LARGEST_SIDE = 1600;

/** A chosen file, scaled down: a photograph of a phone has ten times the bytes that the service needs. */
export async function shrunken(file: File): Promise<Blob> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return file; // a format that this browser cannot read: the service may
  }
  const zoom = Math.min(1, LARGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * zoom));
  canvas.height = Math.max(1, Math.round(bitmap.height * zoom));
  canvas.getContext("2d")!.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return jpegOf(canvas);
}

function jpegOf(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/jpeg", QUALITY));
}
