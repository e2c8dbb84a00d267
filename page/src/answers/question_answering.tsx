/** Answers to a question, marked in the text that they were found in. */

import type { FunctionComponent } from "preact";
import type { Card, Input } from "../types";
import { type Fields, isFields, isText, type Span } from "./forms";
import { Spans } from "./spans";

type Props = { answer: Fields & { answers: Span[] }; input: Input; card: Card };

export const QuestionAnswering: FunctionComponent<Props> = ({ answer, input, card }) => {
  const sent = input.kind === "json" && isFields(input.value) ? input.value : {};
  const question = isText(sent.question) ? sent.question : "";
  const best = answer.answers[0];
  return (
    <>
      {question && <p class="question">{question}</p>}
      {best && <p class="best-answer">{best.text}</p>}
      <Spans
        spans={answer.answers}
        answer={answer}
        input={input}
        card={card}
        label="Answers, the best first"
        none="No answer was found."
      />
    </>
  );
};
