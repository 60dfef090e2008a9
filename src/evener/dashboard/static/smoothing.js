// Smooths a curve: an exponential mean that is not drawn towards zero at its beginning.

/** `weight` (0 to 1) is what the past has in every value; what is not a number stays so. */
export function smoothed(values, weight) {
  let sum = 0;
  let weights = 0;
  return values.map((value) => {
    if (value === null || value === undefined) return value;
    sum = weight * sum + (1 - weight) * value;
    weights = weight * weights + (1 - weight);
    return sum / weights;
  });
}
