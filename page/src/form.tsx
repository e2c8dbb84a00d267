/** The parts that the forms for predictions and explanations share. */

import type { ComponentChildren, FunctionComponent } from "preact";

type CheckboxProps = { children: ComponentChildren; checked: boolean; onChange: (checked: boolean) => void };

export const Checkbox: FunctionComponent<CheckboxProps> = ({ children, checked, onChange }) => (
  <label class="choice">
    <input type="checkbox" checked={checked} onChange={(event) => onChange(event.currentTarget.checked)} /> {children}
  </label>
);

const PNG = "image/png";

type DrawnProps = Omit<CheckboxProps, "children"> & { accept: string[] };

/** Offers the answer as an image if the model can draw one. */
export const Drawn: FunctionComponent<DrawnProps> = ({ accept, checked, onChange }) =>
  accept.includes(PNG) ? (
    <Checkbox checked={checked} onChange={onChange}>
      as an image that the server draws
    </Checkbox>
  ) : null;

/** The media type to ask for; "" for the server's default. */
export function mediaTypeOf(drawn: boolean): string {
  return drawn ? PNG : "";
}

type ButtonsProps = { label: string; main?: boolean; ready: boolean; running: boolean; onCancel: () => void };

/** Submits the form, and cancels a running call. */
export const Buttons: FunctionComponent<ButtonsProps> = ({ label, main, ready, running, onCancel }) => (
  <div class="tools">
    <button type="submit" class={main ? "main" : undefined} disabled={!ready || running}>
      {label}
    </button>
    {running && (
      <button type="button" onClick={onCancel}>
        Cancel
      </button>
    )}
  </div>
);
