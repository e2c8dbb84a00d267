import type { FunctionComponent } from "preact";
import type { ServerError } from "./server";

/** An error as the server has it, and what to do about a key. */
export const Problem: FunctionComponent<{ error: ServerError }> = ({ error }) => (
  <div class="problem" role="alert">
    <strong>{headingOf(error)}</strong>
    <p>
      {error.code > 0 && <span class="code">{error.code} </span>}
      {error.type && <span class="code">{error.type}: </span>}
      {error.message}
    </p>
    {error.wantsKey && <p>Enter a key in the field above; without the edge it is TorchServe's inference key.</p>}
    {error.retryAfter && <p>Try again after {error.retryAfter} s.</p>}
    {error.requestId && <p class="muted">request {error.requestId}</p>}
  </div>
);

function headingOf({ code, wantsKey }: ServerError): string {
  if (wantsKey) return "The server wants another key.";
  if (code === 0) return "There is no answer.";
  return code < 500 ? "The server refuses the call." : "The server cannot answer.";
}
