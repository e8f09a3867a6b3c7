export const SHARED: string[];
export function bundle(development?: boolean): Promise<string>;
