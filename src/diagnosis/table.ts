import { printable } from "../printable.ts";

/** How text may be laid out: a terminal's width, null where there is no terminal. */
export interface Terminal {
  readonly columns: number | null;
  /** Paints text, or leaves it as it is. */
  readonly paint: (color: Color, text: string) => string;
}

export type Color = "red" | "yellow" | "green";

const GAP = 2;
/** A column is not cut below this. */
const LEAST = 12;

const codes: Readonly<Record<Color, number>> = { red: 31, yellow: 33, green: 32 };

/** @param stream where text goes @param environment for NO_COLOR (no-color.org) */
export function terminalOf(
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  environment: Readonly<Record<string, string | undefined>>,
): Terminal {
  if (!stream.isTTY) return PLAIN;
  const paint: Terminal["paint"] = (color, text) => `\u001b[${codes[color]}m${text}\u001b[0m`;
  return { columns: stream.columns ?? null, paint: environment["NO_COLOR"] ? PLAIN.paint : paint };
}

export const PLAIN: Terminal = { columns: null, paint: (_color, text) => text };

export interface Cell {
  readonly text: string;
  readonly color?: Color;
}

/** Rows in columns, the first row their titles. On a terminal that is too narrow the widest columns are cut. */
export function tableText(rows: readonly (readonly Cell[])[], terminal: Terminal): string {
  const cells = rows.map(row => row.map(cell => ({ ...cell, text: printable(cell.text) })));
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map(row => row[column]?.text.length ?? 0)));
  if (terminal.columns !== null) narrow(widths, terminal.columns);
  const lines = cells.map(row => {
    const last = row.length - 1;
    return row
      .map(({ text, color }, column) => {
        const width = widths[column] ?? 0;
        const cut = text.length > width ? `${text.slice(0, width - 1)}…` : text;
        const painted = color === undefined ? cut : terminal.paint(color, cut);
        return column === last ? painted : painted + " ".repeat(width - cut.length + GAP);
      })
      .join("")
      .trimEnd();
  });
  return `${lines.join("\n")}\n`;
}

function narrow(widths: number[], columns: number): void {
  const whole = () => widths.reduce((sum, width) => sum + width + GAP, -GAP);
  while (whole() > columns) {
    const widest = Math.max(...widths);
    if (widest <= LEAST) return;
    widths[widths.indexOf(widest)] = widest - 1;
  }
}
