export function withoutSpecifications(source: string): string;
