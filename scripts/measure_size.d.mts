export interface PageSize {
  readonly page: string;
  readonly minified: number;
  readonly gzipped: number;
  readonly files: readonly { readonly name: string; readonly minified: number; readonly gzipped: number }[];
  readonly groups: Readonly<Record<string, number>>;
}
export const PAGES: readonly string[];
export function measurePage(root: string, page: string, outdir?: string): Promise<PageSize>;
