import type { FunctionComponent } from "preact";
import type { Fields, Value } from "./request";
import type { Parameter } from "./types";

type Props = {
  legend: string;
  parameters: Record<string, Parameter>;
  values: Fields;
  onChange: (values: Fields) => void;
  /** Distinguishes the fields of several forms. */
  id: string;
};

/** Fields for the parameters of a request; one that is left empty is not sent. */
export const Parameters: FunctionComponent<Props> = ({ legend, parameters, values, onChange, id }) => {
  const names = Object.keys(parameters);
  if (names.length === 0) return null;
  const change = (name: string, value: Value | undefined) => {
    const { [name]: _, ...others } = values;
    onChange(value === undefined ? others : { ...others, [name]: value });
  };
  return (
    <details class="parameters" open={names.length <= 3}>
      <summary>{legend}</summary>
      {names.map((name) => (
        <div class="parameter" key={name}>
          <label for={`${id}-${name}`}>{name}</label>
          <Field
            id={`${id}-${name}`}
            parameter={parameters[name]!}
            value={values[name]}
            onChange={(value) => change(name, value)}
          />
          <span class="muted" id={`${id}-${name}-hint`}>
            {parameters[name]!.description}
          </span>
        </div>
      ))}
    </details>
  );
};

type FieldProps = {
  id: string;
  parameter: Parameter;
  value: Value | undefined;
  onChange: (value: Value | undefined) => void;
};

const Field: FunctionComponent<FieldProps> = ({ id, parameter, value, onChange }) => {
  const own = { id, "aria-describedby": `${id}-hint` };
  switch (parameter.type) {
    case "integer":
    case "number":
      return (
        <input
          {...own}
          type="number"
          step={parameter.type === "integer" ? 1 : "any"}
          min={parameter.minimum}
          max={parameter.maximum}
          value={value === undefined ? "" : String(value)}
          onInput={({ currentTarget: { value: text, valueAsNumber } }) =>
            onChange(text === "" || Number.isNaN(valueAsNumber) ? undefined : valueAsNumber)
          }
        />
      );
    case "boolean":
      return (
        <select
          {...own}
          value={value === undefined ? "" : String(value)}
          onChange={({ currentTarget: { value: text } }) => onChange(text === "" ? undefined : text === "true")}
        >
          <option value="">as the model has it</option>
          <option value="true">yes</option>
          <option value="false">no</option>
        </select>
      );
    case "string":
      return (
        <input
          {...own}
          type="text"
          value={value === undefined ? "" : String(value)}
          onInput={({ currentTarget: { value: text } }) => onChange(text || undefined)}
        />
      );
    default:
      return (
        <textarea
          {...own}
          rows={2}
          placeholder="one per line"
          value={Array.isArray(value) ? value.join("\n") : ""}
          onInput={({ currentTarget: { value: text } }) => onChange(text ? text.split("\n") : undefined)}
        />
      );
  }
};
