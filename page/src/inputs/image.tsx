/** An image. */

import type { FunctionComponent } from "preact";
import { ImageView } from "../image/view";
import type { EditorProps } from "./editor";
import { FileEditor } from "./file_editor";

export const ImageEditor: FunctionComponent<EditorProps> = ({ card, value, onChange }) => {
  const image = value?.kind === "image" ? value : null;
  return (
    <FileEditor kind="image" card={card} value={image} onChange={onChange}>
      {image && <ImageView source={image.blob} size={null} label={`The image ${image.name}`} />}
    </FileEditor>
  );
};
