/** A recording: a file, or one made with the microphone. */

import type { FunctionComponent } from "preact";
import { SoundView } from "../sound/view";
import type { EditorProps } from "./editor";
import { FileEditor } from "./file_editor";
import { Recorder } from "./recorder";

const NO_SPANS: [] = [];

export const SoundEditor: FunctionComponent<EditorProps> = ({ card, value, onChange }) => {
  const sound = value?.kind === "audio" ? value : null;
  const record = (blob: Blob): void => onChange({ kind: "audio", blob, mediaType: "audio/wav", name: "recording.wav" });
  return (
    <FileEditor
      kind="audio"
      card={card}
      value={sound}
      onChange={onChange}
      also={<Recorder card={card} onRecorded={record} />}
    >
      {sound && <SoundView source={sound.blob} seconds={0} spans={NO_SPANS} />}
    </FileEditor>
  );
};
