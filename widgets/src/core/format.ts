// How numbers and times are written for people.

const COUNT = new Intl.NumberFormat('en-US');

/** `1234567` → `1,234,567`. */
export function formatCount(value: number): string {
  return Number.isInteger(value) ? COUNT.format(value) : formatValue(value);
}

/** A metric's value with four significant digits. */
export function formatValue(value: number): string {
  if (Number.isNaN(value)) {
    return 'NaN';
  }
  if (!Number.isFinite(value)) {
    return value > 0 ? '∞' : '−∞';
  }
  const size = Math.abs(value);
  if (value === 0) {
    return '0';
  }
  if (size >= 1e6 || size < 1e-3) {
    const [digits, exponent] = value.toExponential(2).split('e');
    return `${Number(digits)}e${Number(exponent)}`;
  }
  return size >= 10_000 ? COUNT.format(Math.round(value)) : String(Number(value.toPrecision(4)));
}

/** `83` → `1 min 23 s`; two units at most. */
export function formatDuration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) {
    return `${s} s`;
  }
  if (s < 3600) {
    return `${Math.floor(s / 60)} min ${pad(s % 60)} s`;
  }
  if (s < 86_400) {
    return `${Math.floor(s / 3600)} h ${pad(Math.floor((s % 3600) / 60))} min`;
  }
  return `${Math.floor(s / 86_400)} d ${pad(Math.floor((s % 86_400) / 3600))} h`;
}

/** `83` → `1:23`; for a clock that ticks. */
export function formatClock(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor((s % 3600) / 60);
  const hours = Math.floor(s / 3600);
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(s % 60)}` : `${minutes}:${pad(s % 60)}`;
}

/** About how long: `about 3 min`. */
export function formatAbout(seconds: number): string {
  if (seconds < 5) {
    return 'a few seconds';
  }
  if (seconds < 90) {
    return `${Math.round(seconds)} s`;
  }
  if (seconds < 5400) {
    return `${Math.round(seconds / 60)} min`;
  }
  const hours = seconds / 3600;
  return hours < 36
    ? `${hours < 10 ? hours.toFixed(1) : Math.round(hours)} h`
    : `${Math.round(hours / 24)} days`;
}

/** How long ago: `3 min ago`. */
export function formatAgo(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 5) {
    return 'just now';
  }
  const [unit, length_s] =
    s < 60 ? ['s', 1] : s < 3600 ? ['min', 60] : s < 86_400 ? ['h', 3600] : ['d', 86_400];
  return `${Math.floor(s / Number(length_s))} ${unit} ago`;
}

/** Binary units: `1536` → `1.5 KiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}

/** The beginning of an id that tells it from others; `%training` takes it. Ids begin with their time, to the millisecond here. */
export function shortId(id: string): string {
  return id.slice(0, 10);
}
