export function tokensOf(source: string): { tokens: string[]; comments: string[] };
export function minifyWgsl(source: string): string;
