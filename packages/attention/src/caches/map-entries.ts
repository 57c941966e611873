/** A record with the same names, and a value made for each. */
export function mapEntries<T>(
  record: Readonly<Record<string, unknown>>,
  value: (name: string) => T,
): Record<string, T> {
  return Object.fromEntries(Object.keys(record).map((name) => [name, value(name)]))
}
