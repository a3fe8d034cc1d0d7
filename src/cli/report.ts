/** Scores as people and programs read them. */
import type { Scores } from './segmentation.js';
import { formatTable, percent } from './table.js';

/** What `evaluation.json` holds. */
export interface EvaluationReport {
  readonly list: string;
  readonly images: number;
  /** Prototypes searched, and how many of them voted. */
  readonly prototypes: number;
  readonly neighbours: number;
  readonly meanIou: number | null;
  readonly pixelAccuracy: number | null;
  readonly classes: readonly {
    readonly name: string;
    readonly iou: number | null;
    readonly oracleIou: number | null;
  }[];
  /** Had every cluster been given its best label. */
  readonly oracle: { readonly meanIou: number | null; readonly pixelAccuracy: number | null };
  /** Had the commonest class been answered everywhere. */
  readonly commonestClass: {
    readonly name: string;
    readonly meanIou: number | null;
    readonly pixelAccuracy: number | null;
  };
}

export function evaluationReport(
  scores: Scores,
  names: readonly string[],
  about: Pick<EvaluationReport, 'list' | 'prototypes' | 'neighbours'>,
): EvaluationReport {
  const { score, oracle, commonest, images } = scores;
  return {
    ...about,
    images,
    meanIou: score.meanIou,
    pixelAccuracy: score.pixelAccuracy,
    classes: names.map((name, i) => ({ name, iou: score.iou[i] ?? null, oracleIou: oracle.iou[i] ?? null })),
    oracle: { meanIou: oracle.meanIou, pixelAccuracy: oracle.pixelAccuracy },
    commonestClass: {
      name: names[commonest.label]!,
      meanIou: commonest.meanIou,
      pixelAccuracy: commonest.pixelAccuracy,
    },
  };
}

/** IoU of each class in percent, beside other columns of the same kind. */
export function scoreTable(
  names: readonly string[],
  columns: readonly { readonly title: string; readonly score: Scores['score'] }[],
): string {
  const rows = names.flatMap((name, i) => {
    // Classes that occur nowhere have no line.
    if (columns.every(({ score }) => score.iou[i] === null)) return [];
    return [[name, ...columns.map(({ score }) => percent(score.iou[i] ?? null))]];
  });
  rows.push(['mean IoU', ...columns.map(({ score }) => percent(score.meanIou))]);
  rows.push(['pixels right', ...columns.map(({ score }) => percent(score.pixelAccuracy))]);
  return formatTable(['IoU in %', ...columns.map(({ title }) => title)], rows);
}
