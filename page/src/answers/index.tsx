/** Answers as their task shows them; any other answer, and one that cannot be drawn, as JSON. */

import { Component, type ComponentChildren, type FunctionComponent } from "preact";
import { ImageView } from "../image/view";
import type { Card, Input } from "../types";
import "./answers.css";
import { AudioClassification } from "./audio_classification";
import { Classification, type Classes, isClassification } from "./classification";
import { Depth } from "./vision/depth";
import { Detections } from "./vision/detections";
import { Embedding, isVector } from "./embedding";
import {
  type Fields,
  isDepth,
  isDetection,
  isFields,
  isInstance,
  isPose,
  isRegion,
  isSize,
  isSpan,
  listOf,
} from "./forms";
import { Generation, isGeneration } from "./generation";
import { type Instances, InstanceSegmentation } from "./vision/instance_segmentation";
import { JsonTree } from "./json_tree";
import { Keypoints } from "./vision/keypoints";
import { isPolicy, Policy } from "./policy";
import { QuestionAnswering } from "./question_answering";
import { type Regions, Segmentation } from "./vision/segmentation";
import { Spans } from "./spans";
import { isTranscript, Transcript } from "./transcript";
import { isVoiceActivity, VoiceActivity } from "./voice_activity";

export { Explanation } from "./explanation";

type Props = { task: string; answer: unknown; input: Input; card: Card };

/** null where the answer does not have the form that the task draws. */
type Draw = (props: Props) => ComponentChildren | null;

const isDetections = listOf(isDetection);
const isPoses = listOf(isPose);
const isSpans = listOf(isSpan);

const classes: Draw = ({ answer }) => (isClassification(answer) ? <Classification answer={answer} /> : null);
const vector: Draw = ({ answer, ...rest }) => (isVector(answer) ? <Embedding answer={answer} {...rest} /> : null);

const DRAW: Record<string, Draw> = {
  "image-classification": classes,
  "zero-shot-image-classification": classes,
  "text-classification": classes,
  "image-embedding": vector,
  "text-embedding": vector,
  "audio-embedding": vector,
  "object-detection": ({ answer, ...rest }) =>
    isFields(answer) && isDetections(answer.detections) ? <Detections found={answer.detections} {...rest} /> : null,
  "keypoint-detection": ({ answer, ...rest }) =>
    isFields(answer) && isPoses(answer.detections) ? (
      <Keypoints answer={{ detections: answer.detections }} {...rest} />
    ) : null,
  "instance-segmentation": ({ answer, ...rest }) =>
    isSegmented(answer) && listOf(isInstance)(answer.segments) ? (
      <InstanceSegmentation answer={answer as Instances} {...rest} />
    ) : null,
  "semantic-segmentation": ({ answer, ...rest }) =>
    isSegmented(answer) && listOf(isRegion)(answer.segments) ? (
      <Segmentation answer={answer as Regions} {...rest} />
    ) : null,
  "depth-estimation": ({ answer, ...rest }) => (isDepth(answer) ? <Depth answer={answer} {...rest} /> : null),
  "audio-classification": ({ answer, ...rest }) =>
    isClassification(answer) ? <AudioClassification answer={answer as Classes} {...rest} /> : null,
  "voice-activity": ({ answer, ...rest }) =>
    isVoiceActivity(answer) ? <VoiceActivity answer={answer} {...rest} /> : null,
  "speech-recognition": ({ answer, ...rest }) =>
    isTranscript(answer) ? <Transcript answer={answer} {...rest} /> : null,
  "token-classification": ({ answer, ...rest }) =>
    isFields(answer) && isSpans(answer.entities) ? (
      <Spans spans={answer.entities} answer={answer} label="Entities" none="No entity was found." {...rest} />
    ) : null,
  "question-answering": ({ answer, ...rest }) =>
    isFields(answer) && isSpans(answer.answers) ? (
      <QuestionAnswering answer={{ ...answer, answers: answer.answers }} {...rest} />
    ) : null,
  "text-generation": ({ answer }) => (isGeneration(answer) ? <Generation answer={answer} /> : null),
  policy: ({ answer, card }) => (isPolicy(answer) ? <Policy answer={answer} card={card} /> : null),
};

// Forms that handlers of one's own share with built-in tasks.
const COMMON = [classes, DRAW["object-detection"]!, vector];

/** answer: parsed JSON, also while it grows; or a Blob, such as a drawing that the server made. */
export const Answer: FunctionComponent<Props> = (props) => {
  const { task, answer } = props;
  const ways = task in DRAW ? [DRAW[task]!] : COMMON;
  const drawn = ways.map((draw) => draw(props)).find(Boolean) ?? <JsonTree value={answer} />;
  return (
    <div class="answer">
      <Guard answer={answer}>
        {answer instanceof Blob ? <ImageView source={answer} size={null} label="The answer" /> : drawn}
      </Guard>
    </div>
  );
};

function isSegmented(answer: unknown): answer is Fields & { size: [number, number]; segments: unknown } {
  return isFields(answer) && isSize(answer.size);
}

/** Shows an answer as JSON where drawing it fails. */
class Guard extends Component<{ answer: unknown; children: ComponentChildren }, { failed: unknown }> {
  override state = { failed: undefined };

  override componentDidCatch(error: unknown): void {
    console.error(error);
    this.setState({ failed: this.props.answer });
  }

  override render() {
    const { answer, children } = this.props;
    return this.state.failed !== undefined && this.state.failed === answer ? <JsonTree value={answer} /> : children;
  }
}
