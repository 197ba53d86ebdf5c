// Loss and gradient of a tanh network in float32, and search directions of L-BFGS, one member of an ensemble at a time.
//
// A tile of points goes through the whole network and back while everything that it needs stays in the cache: features lie
// in rows, points side by side, so that a vector register holds one feature of several points. The vectors are those of GCC
// and Clang, as wide as the processor has them.
//
// All sums are taken in an order that depends on the member alone: its numbers are the same bits whoever is evaluated beside
// it, on whatever thread.
#ifndef TILE
#define TILE 192  // rows of points in a tile, about: 96 to 320 are equally fast
#endif
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#if defined(__AVX__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
constexpr int LANES = 16, COLUMNS = 4, ROWS = 5, OUTER = 5;  // 32 registers: 5 x 4 or 5 x 5 sums
#elif defined(__AVX__)
constexpr int LANES = 8, COLUMNS = 2, ROWS = 5, OUTER = 2;  // 16 registers
#else
constexpr int LANES = 4, COLUMNS = 2, ROWS = 5, OUTER = 2;
#endif
constexpr int INPUTS = 2, MAX_LAYERS = 32;

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));

static inline vec splat(float x) { return x - vec{}; }  // not vec{} + x, which turns -0 into 0
static inline vec load(const float* p) { return *(const vec*)p; }
static inline void store(float* p, vec x) { *(vec*)p = x; }
static inline vec load_any(const float* p) { vec x; std::memcpy(&x, p, sizeof x); return x; }
static inline void store_any(float* p, vec x) { std::memcpy(p, &x, sizeof x); }
static inline vec choose(ivec mask, vec yes, vec no) { return (vec)((mask & (ivec)yes) | (~mask & (ivec)no)); }

static inline float sum(vec x) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)x);
#elif defined(__AVX__)
  __m128 h = _mm_add_ps(_mm256_castps256_ps128((__m256)x), _mm256_extractf128_ps((__m256)x, 1));
  h = _mm_add_ps(h, _mm_movehl_ps(h, h));
  return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
#else
  return (x[0] + x[2]) + (x[1] + x[3]);
#endif
}

// tanh x = e / (e + 2) with e = exp(2|x|) - 1 = 2^n (exp(r) - 1) + (2^n - 1) and 2|x| = n ln 2 + r; within two units in the
// last place everywhere (tests/test_kernel.py). NaN passes through.
static inline vec tanh_of(vec x) {
  const ivec sign = (ivec)x & (ivec)splat(-0.0f);
  vec y = (vec)((ivec)x ^ sign);
  y = choose(y > splat(9.02f), splat(9.02f), y);  // beyond it tanh is 1 in float32
  const vec magic = splat(12582912.0f);           // 1.5 * 2^23: adding it rounds to a whole number
  const vec shifted = y * splat(2.88539008177792681f) + magic, n = shifted - magic;
  const vec r = (y + y) - n * splat(0.693147180559945309f);
  // (exp(r) - 1 - r) / r^2 on |r| <= ln(2) / 2: minimax of the error relative to exp(r) - 1, which is 4e-3 units of 2^-24.
  vec q = splat(1.98458918e-4f);
  q = q * r + splat(1.39406393e-3f);
  q = q * r + splat(8.33338965e-3f);
  q = q * r + splat(4.16663624e-2f);
  q = q * r + splat(1.66666657e-1f);
  q = q * r + splat(0.5f);
  const vec p = q * (r * r) + r;
  const vec power = (vec)(((ivec)shifted << 23) + ((ivec)splat(1.0f) - ((ivec)magic << 23)));  // 2^n
  const vec e = power * p + (power - splat(1.0f));
  const vec d = e + splat(2.0f), t = e / d;
  // What rounding took from d, as far as it matters in the quotient; 1 / d = (1 - t) / 2.
  const vec lost = choose(e < splat(1.0f), e - (d - splat(2.0f)), vec{});
  return (vec)((ivec)(t - t * lost * (splat(0.5f) - splat(0.5f) * t)) | sign);
}

// C[j][c] = sum_k A(j, k) B[k][c] for JB rows and NV vectors of columns; A(j, k) stands at a[j * aj + k * ak].
template <int JB, int NV>
static inline void product_block(const float* a, long aj, long ak, int K, const float* b, float* c, long ld) {
  vec acc[JB][NV];
  for (int j = 0; j < JB; j++)
    for (int v = 0; v < NV; v++) acc[j][v] = vec{};
  for (int k = 0; k < K; k++) {
    vec x[NV];
    for (int v = 0; v < NV; v++) x[v] = load(b + k * ld + v * LANES);
    for (int j = 0; j < JB; j++) {
      const vec w = splat(a[j * aj + k * ak]);
      for (int v = 0; v < NV; v++) acc[j][v] += w * x[v];
    }
  }
  for (int j = 0; j < JB; j++)
    for (int v = 0; v < NV; v++) store(c + j * ld + v * LANES, acc[j][v]);
}

template <int NV>
static inline void product_columns(const float* a, long aj, long ak, int J, int K, const float* b, float* c, long ld) {
  int j = 0;
  for (; j + ROWS <= J; j += ROWS) product_block<ROWS, NV>(a + j * aj, aj, ak, K, b, c + j * ld, ld);
  switch (J - j) {
    case 4: product_block<4, NV>(a + j * aj, aj, ak, K, b, c + j * ld, ld); break;
    case 3: product_block<3, NV>(a + j * aj, aj, ak, K, b, c + j * ld, ld); break;
    case 2: product_block<2, NV>(a + j * aj, aj, ak, K, b, c + j * ld, ld); break;
    case 1: product_block<1, NV>(a + j * aj, aj, ak, K, b, c + j * ld, ld); break;
  }
}

// C [J][n] = A B with B [K][n]; n is a multiple of LANES.
static void product(const float* a, long aj, long ak, int J, int K, const float* b, float* c, int n) {
  int at = 0;
  for (; at + COLUMNS * LANES <= n; at += COLUMNS * LANES) product_columns<COLUMNS>(a, aj, ak, J, K, b + at, c + at, n);
  switch ((n - at) / LANES) {
    case 3: product_columns<3>(a, aj, ak, J, K, b + at, c + at, n); break;
    case 2: product_columns<2>(a, aj, ak, J, K, b + at, c + at, n); break;
    case 1: product_columns<1>(a, aj, ak, J, K, b + at, c + at, n); break;
  }
}

template <int JB, int KB>
static inline void outer_block(const float* g, const float* h, float* d, long ldd, int n) {
  vec acc[JB][KB];
  for (int j = 0; j < JB; j++)
    for (int k = 0; k < KB; k++) acc[j][k] = vec{};
  for (int c = 0; c < n; c += LANES) {
    vec x[KB];
    for (int k = 0; k < KB; k++) x[k] = load(h + (long)k * n + c);
    for (int j = 0; j < JB; j++) {
      const vec y = load(g + (long)j * n + c);
      for (int k = 0; k < KB; k++) acc[j][k] += y * x[k];
    }
  }
  for (int j = 0; j < JB; j++)
    for (int k = 0; k < KB; k++) d[j * ldd + k] += sum(acc[j][k]);
}

template <int JB>
static inline void outer_rows(const float* g, const float* h, float* d, int K, int n) {
  int k = 0;
  for (; k + OUTER <= K; k += OUTER) outer_block<JB, OUTER>(g, h + (long)k * n, d + k, K, n);
  for (; k < K; k++) outer_block<JB, 1>(g, h + (long)k * n, d + k, K, n);
}

// D [J][K] += G H^T with G [J][n] and H [K][n].
static void outer(const float* g, const float* h, float* d, int J, int K, int n) {
  int j = 0;
  for (; j + ROWS <= J; j += ROWS) outer_rows<ROWS>(g + (long)j * n, h, d + (long)j * K, K, n);
  for (; j < J; j++) outer_rows<1>(g + (long)j * n, h, d + (long)j * K, K, n);
}

extern "C" {

struct Network {
  int32_t layers;                   // products with a weight: hidden layers and the last
  int32_t widths[MAX_LAYERS + 1];   // INPUTS, hidden widths, 1
};

// Where a block of residuals is asked for, and how its residual
//
//   r = offset + p1 u + p2 u^2 + p3 u^3 + sum_k (a_k u_k + c_k u_kk + b_k u u_k)  [+ ratio (p1 u + sum_k a_k u_k) at a partner]
//
// depends on the network u; k runs over the axes x and t. Its share of the loss is weight mean(r^2) + mean(multiplier r).
struct Block {
  const float* points;       // [n, 2]; a member's begin `points_step` floats after those of the one before it, 0 if shared
  const float* partner;      // [n, 2] or null
  const float* offset;       // [n] or null
  const float* multipliers;  // [n] or null
  const float* form;         // [FORM] for each member, see the enumeration
  float* residuals;          // [n] of each member, or null if they are not wanted
  int64_t points_step, partner_step, offset_step, multipliers_step, n;
  int32_t axes;              // bit k: the first derivative along axis k has a row of its own
  int32_t linear;            // whether a_k or c_k are there: they share one row
};
enum { P1, P2, P3, A, C = A + 2, B = C + 2, RATIO = B + 2, WEIGHT, FORM };
}

struct Buffer {  // grows, is never copied, and is kept by its thread
  float* data = nullptr;
  size_t size = 0;
  float* of(size_t wanted) {
    if (wanted > size) {
      std::free(data);
      size = (wanted + 15) / 16 * 16;
      data = (float*)std::aligned_alloc(64, size * sizeof(float));
      if (!data) size = 0;
    }
    return data;
  }
  ~Buffer() { std::free(data); }
};

// One tile: `points` points with `rows` rows each: the value, first derivatives along some axes, and the linear operator
// sum_k (a_k d_k + c_k d_kk), which passes a layer as one row since derivatives add up.
struct Tile {
  const Network& net;
  const float* params;
  int points, rows, firsts, linear, n;
  float c[2];        // c_k of the axes with a row, in their order
  float *in, *a[MAX_LAYERS], *z[MAX_LAYERS], *g[2];

  Tile(const Network& net_, const float* params_, const Block& block, const float* form, int points_, Buffer& memory)
      : net(net_), params(params_), points(points_), firsts(0), linear(block.linear) {
    for (int k = 0; k < 2; k++)
      if (block.axes >> k & 1) c[firsts++] = form[C + k];
    rows = 1 + firsts + linear;
    n = rows * points;
    size_t need = INPUTS * n, widest = 1;
    for (int l = 1; l <= net.layers; l++) {
      need += (size_t)net.widths[l] * (n + firsts * points);
      widest = std::max(widest, (size_t)net.widths[l]);
    }
    float* at = memory.of(need + 2 * widest * n);
    if (!at) std::abort();
    in = at, at += INPUTS * n;
    for (int l = 0; l < net.layers; l++) {
      a[l] = at, at += (size_t)net.widths[l + 1] * n;
      z[l] = at, at += (size_t)net.widths[l + 1] * firsts * points;
    }
    for (int i = 0; i < 2; i++) g[i] = at, at += widest * n;
    // Rows below the value begin with unit vectors and with the direction of the operator's first order.
    int row = 1;
    for (int k = 0; k < 2; k++)
      if (block.axes >> k & 1) {
        for (int i = 0; i < points; i++) in[row * points + i] = k == 0, in[n + row * points + i] = k == 1;
        row++;
      }
    if (linear)
      for (int i = 0; i < points; i++) in[row * points + i] = form[A], in[n + row * points + i] = form[A + 1];
  }

  float* out() const { return a[net.layers - 1]; }  // [n]: the network's jet, later its cotangent

  void forward() {
    const float *w = params, *below = in;
    for (int l = 0; l < net.layers; l++) {
      const int J = net.widths[l + 1], K = net.widths[l];
      const float* bias = w + (long)J * K;
      product(w, K, 1, J, K, below, a[l], n);
      if (l + 1 < net.layers) activate(l, bias);
      else
        for (int i = 0; i < points; i += LANES) store(out() + i, load(out() + i) + splat(bias[0]));
      below = a[l];
      w = bias + J;
    }
  }

  void activate(int l, const float* bias) {
    for (int j = 0; j < net.widths[l + 1]; j++) {
      float *row = a[l] + (long)j * n, *kept = z[l] + (long)j * firsts * points;
      const vec b = splat(bias[j]), one = splat(1.0f);
      for (int i = 0; i < points; i += LANES) {
        const vec t = tanh_of(load(row + i) + b), s = one - t * t;
        store(row + i, t);
        vec bend = vec{};  // sum_k c_k z_k^2
        for (int k = 0; k < firsts; k++) {
          float* first = row + (1 + k) * points + i;
          const vec zk = load(first);
          store(kept + k * points + i, zk);
          bend += splat(c[k]) * zk * zk;
          store(first, s * zk);
        }
        if (linear) {
          float* last = row + (1 + firsts) * points + i;
          store(last, s * (load(last) - (t + t) * bend));
        }
      }
    }
  }

  // The cotangents of layer l's outputs become those of what goes into its tanh.
  void pull_back(int l, float* cotangent) {
    for (int j = 0; j < net.widths[l + 1]; j++) {
      const float *row = a[l] + (long)j * n, *kept = z[l] + (long)j * firsts * points;
      float* gj = cotangent + (long)j * n;
      const vec one = splat(1.0f);
      for (int i = 0; i < points; i += LANES) {
        const vec t = load(row + i), s = one - t * t, two_t = t + t;
        vec mixed = vec{}, bend = vec{};
        float* last = gj + (1 + firsts) * points + i;
        const vec gl = linear ? load(last) : vec{};
        if (linear) {
          mixed += load(row + (1 + firsts) * points + i) * gl;
          store(last, s * gl);
        }
        for (int k = 0; k < firsts; k++) {
          float* first = gj + (1 + k) * points + i;
          const vec gk = load(first), zk = load(kept + k * points + i), ck = splat(c[k]);
          mixed += load(row + (1 + k) * points + i) * gk;
          bend += ck * zk * zk;
          store(first, s * (gk - (two_t + two_t) * ck * zk * gl));
        }
        store(gj + i, s * load(gj + i) - two_t * mixed - (s + s) * s * bend * gl);
      }
    }
  }

  // Adds the gradient of the scalar whose derivative by out() stands in out() to `grad`.
  void backward(float* grad) {
    long end = 0;
    for (int l = 0; l < net.layers; l++) end += (long)net.widths[l + 1] * (net.widths[l] + 1);
    float* above = out();
    for (int l = net.layers - 1; l >= 0; l--) {
      const int J = net.widths[l + 1], K = net.widths[l];
      if (l + 1 < net.layers) pull_back(l, above);
      end -= (long)J * (K + 1);
      outer(above, l ? a[l - 1] : in, grad + end, J, K, n);
      for (int j = 0; j < J; j++) {
        vec total = vec{};
        for (int i = 0; i < points; i += LANES) total += load(above + (long)j * n + i);
        grad[end + (long)J * K + j] += sum(total);
      }
      if (l) {
        float* into = g[l % 2];
        product(params + end, 1, K, K, J, above, into, n);
        above = into;
      }
    }
  }
};

static long count(const Network& net) {
  long p = 0;
  for (int l = 0; l < net.layers; l++) p += (long)net.widths[l + 1] * (net.widths[l] + 1);
  return p;
}

static void place(float* in, int n, const float* points, int from, int points_in_tile, int m) {
  for (int i = 0; i < points_in_tile; i++) {
    const long at = 2L * (from + std::min(i, m - 1));  // a tile that is not full repeats its last point
    in[i] = points[at];
    in[n + i] = points[at + 1];
  }
}

static thread_local Buffer memory;

// Points of a tile: of all sizes with about TILE rows the one that leaves the least of the last tile empty.
static int tile_size(long n, int rows, int unit) {
  const long most = std::max(unit, TILE / rows / unit * unit), tiles = (n + most - 1) / most;
  return (int)(((n + tiles - 1) / tiles + unit - 1) / unit * unit);
}

// One block of one member: its mean square goes to `square`, mean(multiplier r) to `tilt`, and its gradient is added to `grad`.
static void run_block(const Network& net, const float* params, const Block& block, long member, float* grad, double* square,
                      double* tilt) {
  const float* form = block.form + member * FORM;
  const float* points = block.points + member * block.points_step;
  const float* partner = block.partner ? block.partner + member * block.partner_step : nullptr;
  const float* offset = block.offset ? block.offset + member * block.offset_step : nullptr;
  const float* multipliers = block.multipliers ? block.multipliers + member * block.multipliers_step : nullptr;
  float* residuals = block.residuals ? block.residuals + member * block.n : nullptr;
  const int rows = 1 + (block.axes & 1) + (block.axes >> 1) + block.linear;
  const int size = tile_size(block.n * (partner ? 2 : 1), rows, partner ? 2 * LANES : LANES);
  Tile tile(net, params, block, form, size, memory);
  const int step = partner ? size / 2 : size;
  const float scale = 2.0f * form[WEIGHT] / (float)block.n, share = 1.0f / (float)block.n;
  double squares = 0.0, tilts = 0.0;
  for (long from = 0; from < block.n; from += step) {
    const int m = (int)std::min<long>(step, block.n - from);
    place(tile.in, tile.n, points, (int)from, step, m);
    if (partner) place(tile.in + step, tile.n, partner, (int)from, step, m);
    tile.forward();
    float* jet = tile.out();
    float *u = jet, *first = jet + size, *last = jet + (1 + tile.firsts) * size;
    for (int i = 0; i < step; i++) {
      const bool there = i < m;
      float r = offset && there ? offset[from + i] : 0.0f, slope;
      if (partner) {
        r += form[P1] * u[i] + form[RATIO] * form[P1] * u[step + i];
        if (block.linear) r += last[i] + form[RATIO] * last[step + i];
        slope = form[P1];
      } else {
        const float v = u[i];
        r += v * (form[P1] + v * (form[P2] + v * form[P3]));
        slope = form[P1] + v * (2.0f * form[P2] + v * 3.0f * form[P3]);
        if (block.linear) r += last[i];
        for (int k = 0, row = 0; k < 2; k++)
          if (block.axes >> k & 1) {
            const float d = first[row++ * size + i];
            r += form[B + k] * v * d;
            slope += form[B + k] * d;
          }
      }
      if (there) {
        squares += (double)r * r;
        if (multipliers) tilts += (double)multipliers[from + i] * r;
        if (residuals) residuals[from + i] = r;
      }
      if (!grad) continue;
      float c = 0.0f;
      if (there) c = scale * r + (multipliers ? share * multipliers[from + i] : 0.0f);
      if (partner) {
        u[step + i] = c * slope * form[RATIO];
        if (block.linear) last[step + i] = c * form[RATIO];
      } else {
        const float v = u[i];
        for (int k = 0, row = 0; k < 2; k++)
          if (block.axes >> k & 1) first[row++ * size + i] = c * form[B + k] * v;
      }
      if (block.linear) last[i] = c;
      u[i] = c * slope;
    }
    if (grad) tile.backward(grad);
  }
  *square = squares / (double)block.n;
  *tilt = tilts / (double)block.n;
}

extern "C" {

int kernel_lanes() { return LANES; }

void kernel_tanh(const float* x, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) store_any(y + i, tanh_of(load_any(x + i)));
  vec rest = vec{};
  std::memcpy(&rest, x + i, sizeof(float) * (n - i));
  rest = tanh_of(rest);
  std::memcpy(y + i, &rest, sizeof(float) * (n - i));
}

// The network's values [n] at `points` [n, 2] for members `first` to `last` - 1; `values` is [M, n].
void kernel_values(const Network* net, const float* params, int64_t first, int64_t last, const float* points, int64_t n,
                   float* values) {
  const float form[FORM] = {1.0f};
  Block block = {};
  const long p = count(*net);
  const int size = tile_size(n, 1, LANES);
  for (int64_t m = first; m < last; m++) {
    Tile tile(*net, params + m * p, block, form, size, memory);
    for (int64_t from = 0; from < n; from += size) {
      const int some = (int)std::min<int64_t>(size, n - from);
      place(tile.in, tile.n, points, (int)from, size, some);
      tile.forward();
      std::memcpy(values + m * n + from, tile.out(), sizeof(float) * some);
    }
  }
}

// For members `first` to `last` - 1: the blocks' mean squares `squares` [M, blocks], the loss [M], and, if not null, its
// gradient [M, P].
void kernel_evaluate(const Network* net, const float* params, int64_t first, int64_t last, const Block* blocks, int32_t n_blocks,
                     double* squares, double* loss, float* grad) {
  const long p = count(*net);
  for (int64_t m = first; m < last; m++) {
    float* g = grad ? grad + m * p : nullptr;
    if (g) std::memset(g, 0, sizeof(float) * p);
    loss[m] = 0.0;
    for (int b = 0; b < n_blocks; b++) {
      double square, tilt;
      run_block(*net, params + m * p, blocks[b], m, g, &square, &tilt);
      squares[m * n_blocks + b] = square;
      loss[m] += blocks[b].form[m * FORM + WEIGHT] * square + tilt;
    }
  }
}
}

static inline float dot(const float* a, const float* b, long n) {
  vec acc[4] = {};
  long i = 0;
  for (; i + 4 * LANES <= n; i += 4 * LANES)
    for (int v = 0; v < 4; v++) acc[v] += load_any(a + i + v * LANES) * load_any(b + i + v * LANES);
  for (; i + LANES <= n; i += LANES) acc[0] += load_any(a + i) * load_any(b + i);
  float total = sum((acc[0] + acc[1]) + (acc[2] + acc[3]));
  for (; i < n; i++) total += a[i] * b[i];
  return total;
}

// y += sum_k weights[k] rows[k] for `h` rows of length n, in the order of k.
static void add_rows(float* y, const float* rows, const float* weights, int h, long n) {
  int k = 0;
  for (; k + 4 <= h; k += 4) {
    const float* r[4] = {rows + k * n, rows + (k + 1) * n, rows + (k + 2) * n, rows + (k + 3) * n};
    long i = 0;
    for (; i + LANES <= n; i += LANES) {
      vec t = load_any(y + i);
      for (int q = 0; q < 4; q++) t += splat(weights[k + q]) * load_any(r[q] + i);
      store_any(y + i, t);
    }
    for (; i < n; i++)
      for (int q = 0; q < 4; q++) y[i] += weights[k + q] * r[q][i];
  }
  for (; k < h; k++)
    for (long i = 0; i < n; i++) y[i] += weights[k] * rows[k * n + i];
}

extern "C" {

// Search directions -H g of the members `members[first]` to `members[last - 1]`, see sciml_lib/optim/history.py. The newest pair's
// column of S Y^T is completed on the way. Arrays are those of the history; `direction` is [len(members), P].
void kernel_direction(const float* s, const float* y, double* products, const float* gamma, const int64_t* pairs,
                      const float* grad, const int64_t* members, int64_t first, int64_t last, int32_t size, int64_t p,
                      float* direction) {
  Buffer& room = memory;
  for (int64_t i = first; i < last; i++) {
    const int64_t m = members[i];
    const float *S = s + m * size * p, *Y = y + m * size * p, *g = grad + m * p;
    double* R = products + m * size * size;
    float* d = direction + i * p;
    const int h = (int)std::min<int64_t>(pairs[m], size), newest = (int)((pairs[m] + size - 1) % size);
    const int oldest = pairs[m] > size ? (int)(pairs[m] % size) : 0;
    float* work = room.of(8 * (size_t)size + (size_t)p + 64);
    if (!work) std::abort();
    double *alpha = (double*)work, *delta = alpha + size;  // by storage row
    float *weights = work + 4 * size, *q = weights + size + (size & 1);
    for (int k = 0; k < h; k++) {
      alpha[k] = dot(S + k * p, g, p);
      R[k * size + newest] = dot(S + k * p, Y + newest * p, p);
    }
    auto row = [&](int age) { return (oldest + age) % size; };
    for (int a = h - 1; a >= 0; a--) {  // R alpha = S g
      const int ra = row(a);
      double x = alpha[ra];
      for (int b = a + 1; b < h; b++) x -= R[ra * size + row(b)] * alpha[row(b)];
      alpha[ra] = x / R[ra * size + ra];
    }
    for (int k = 0; k < h; k++) weights[k] = -(float)alpha[k];
    std::memcpy(q, g, sizeof(float) * p);
    add_rows(q, Y, weights, h, p);
    for (long k = 0; k < p; k++) q[k] *= gamma[m];  // gamma (g - Y^T alpha)
    for (int k = 0; k < h; k++) delta[k] = R[k * size + k] * alpha[k] - dot(Y + k * p, q, p);
    for (int a = 0; a < h; a++) {  // R^T delta = D alpha - Y q
      const int ra = row(a);
      double x = delta[ra];
      for (int b = 0; b < a; b++) x -= R[row(b) * size + ra] * delta[row(b)];
      delta[ra] = x / R[ra * size + ra];
    }
    for (int k = 0; k < h; k++) weights[k] = (float)delta[k];
    add_rows(q, S, weights, h, p);
    for (long k = 0; k < p; k++) d[k] = -q[k];
  }
}
}
