/** The forms of answers, as archiver/verification/response_schemas.py defines them, and checks of them. */

import type { RunLengths } from "../image/run_lengths";

export type Ranked = { label: string; index: number; probability?: number; score?: number };
export type Detection = { box: [number, number, number, number]; label: string; index: number; score: number };
export type Instance = Detection & { rle: RunLengths; area: number };
export type Keypoint = { name: string; x: number; y: number; score: number };
export type Pose = Detection & { keypoints: Keypoint[] };
export type Region = { label: string; index: number; rle: RunLengths; area: number };
export type Spoken = { start: number; end: number; text?: string };
export type Span = { text: string; start: number; end: number; score: number; label?: string };
export type Action = {
  action: number | number[];
  label?: string;
  probabilities?: number[];
  values?: number[];
  mean?: number[];
  std?: number[];
  value: number;
};
export type Depth = {
  size: [height: number, width: number];
  kind: string;
  nearer: string;
  minimum: number;
  maximum: number;
  mean: number;
  scale: number;
  offset: number;
  png?: string;
};

export type Fields = Record<string, unknown>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Blob);
}

export const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
export const isText = (value: unknown): value is string => typeof value === "string";
export const isNumbers = (value: unknown): value is number[] => listOf(isNumber)(value);

export function listOf<T>(check: (value: unknown) => value is T): (value: unknown) => value is T[] {
  return (value): value is T[] => Array.isArray(value) && value.every(check);
}

export function isRanked(value: unknown): value is Ranked {
  return isFields(value) && isText(value.label) && (isNumber(value.probability) || isNumber(value.score));
}

export function isDetection(value: unknown): value is Detection {
  return isRegionLike(value) && isNumber(value.score) && isNumbers(value.box) && value.box.length === 4;
}

export function isRegion(value: unknown): value is Region {
  return isRegionLike(value) && isNumber(value.area) && isRunLengths(value.rle);
}

export function isInstance(value: unknown): value is Instance {
  return isDetection(value) && isRegion(value);
}

export function isPose(value: unknown): value is Pose {
  return isDetection(value) && listOf(isKeypoint)((value as Fields).keypoints);
}

export function isSpoken(value: unknown): value is Spoken {
  return isFields(value) && isNumber(value.start) && isNumber(value.end);
}

export function isSpan(value: unknown): value is Span {
  return isSpoken(value) && isText((value as Fields).text) && isNumber((value as Fields).score);
}

export function isSize(value: unknown): value is [number, number] {
  return isNumbers(value) && value.length === 2 && value[0]! > 0 && value[1]! > 0;
}

export function isAction(value: unknown): value is Action {
  if (!isFields(value) || !isNumber(value.value)) return false;
  if (!isNumber(value.action) && !isNumbers(value.action)) return false;
  const lists = [value.probabilities, value.values, value.mean, value.std];
  return lists.every((list) => list === undefined || isNumbers(list));
}

export function isDepth(value: unknown): value is Depth {
  if (!isFields(value) || !isSize(value.size) || !isText(value.kind) || !isText(value.nearer)) return false;
  const numbers = [value.minimum, value.maximum, value.mean, value.scale, value.offset];
  return numbers.every(isNumber) && (value.png === undefined || isText(value.png));
}

function isRegionLike(value: unknown): value is Fields & { label: string; index: number } {
  return isFields(value) && isText(value.label) && isNumber(value.index);
}

function isRunLengths(value: unknown): value is RunLengths {
  return isFields(value) && isSize(value.size) && isText(value.counts);
}

function isKeypoint(value: unknown): value is Keypoint {
  return isFields(value) && isText(value.name) && [value.x, value.y, value.score].every(isNumber);
}
