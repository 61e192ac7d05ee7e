#include "bench/zipf.h"

#include <math.h>
#include <stdlib.h>

/* sums[k] = the chance of the ranks 0 .. k, together. */
static double *sums_create(uint32_t n, double theta)
{
    double *sums = malloc(n * sizeof *sums), sum = 0;
    if (sums == NULL)
        die("out of memory");
    for (uint32_t k = 0; k < n; k++)
        sums[k] = sum += pow((double)k + 1, -theta);
    for (uint32_t k = 0; k < n; k++)
        sums[k] /= sum;
    return sums;
}

static uint32_t rank_of(const double *sums, uint32_t n, double share)
{
    uint32_t low = 0, high = n - 1;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (sums[middle] < share)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A permutation of the numbers below N, the same for everybody. */
static uint32_t *permutation_create(uint32_t n)
{
    struct random random = {.state = 20};
    uint32_t *numbers = malloc(n * sizeof *numbers);
    if (numbers == NULL)
        die("out of memory");
    for (uint32_t i = 0; i < n; i++)
        numbers[i] = i;
    for (uint32_t i = n - 1; i > 0; i--) {
        const uint32_t j = (uint32_t)(random_next(&random) % (i + 1));
        const uint32_t swap = numbers[i];
        numbers[i] = numbers[j];
        numbers[j] = swap;
    }
    return numbers;
}

uint32_t *zipf_draw(uint32_t count, uint32_t n, double theta, struct random *random)
{
    double *sums = sums_create(n, theta);
    uint32_t *numbers = permutation_create(n);
    uint32_t *draws = malloc(count * sizeof *draws);
    if (draws == NULL)
        die("out of memory");
    for (uint32_t i = 0; i < count; i++) {
        const double share = (double)(random_next(random) >> 11) * 0x1p-53;
        draws[i] = numbers[rank_of(sums, n, share)];
    }
    free(sums);
    free(numbers);
    return draws;
}
