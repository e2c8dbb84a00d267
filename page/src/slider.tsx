import type { ComponentChildren, FunctionComponent } from "preact";

type Props = {
  children: ComponentChildren;
  /** 1 by default. */
  max?: number;
  step: number;
  value: number;
  onChange: (value: number) => void;
};

/** A slider from 0 with its label. */
export const Slider: FunctionComponent<Props> = ({ children, max = 1, step, value, onChange }) => (
  <label class="field">
    {children}
    <input
      type="range"
      min={0}
      max={max}
      step={step}
      value={value}
      onInput={(event) => onChange(event.currentTarget.valueAsNumber)}
    />
  </label>
);

export const Opacity: FunctionComponent<Pick<Props, "value" | "onChange">> = (props) => (
  <Slider step={0.05} {...props}>
    Opacity
  </Slider>
);
