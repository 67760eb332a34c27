// matmul against the plain construction of its least-squares problem, and known algorithms for matrix products.
#include "tests/tasks/differences.h"

namespace {

constexpr long double ridge = 1e-6L;

struct Matrix {
    size_t rows, columns;
    Point a;
    Matrix(size_t r, size_t c) : rows(r), columns(c), a(r * c) {}
    long double &operator()(size_t i, size_t j) { return a[i * columns + j]; }
    long double operator()(size_t i, size_t j) const { return a[i * columns + j]; }
};

// X of M X = R by elimination with row exchanges.
Matrix eliminate(Matrix m, Matrix r) {
    const size_t n = m.rows;
    for (size_t c = 0; c < n; c++) {
        size_t best = c;
        for (size_t i = c; i < n; i++)
            if (std::fabs(m(i, c)) > std::fabs(m(best, c))) best = i;
        for (size_t j = 0; j < n; j++) std::swap(m(c, j), m(best, j));
        for (size_t j = 0; j < r.columns; j++) std::swap(r(c, j), r(best, j));
        for (size_t i = 0; i < n; i++) {
            const long double by = m(i, c) / m(c, c);
            if (i == c || by == 0) continue;
            for (size_t j = c; j < n; j++) m(i, j) -= by * m(c, j);
            for (size_t j = 0; j < r.columns; j++) r(i, j) -= by * r(c, j);
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < r.columns; j++) r(i, j) /= m(i, i);
    return r;
}

// Row (i, j): the product of the unit matrices i and j, as matrices multiply.
Matrix products_of_units(size_t n) {
    const size_t rows = n * n;
    Matrix d(rows * rows, rows);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < rows; j++) {
            Matrix x(n, n), y(n, n);
            x.a[i] = y.a[j] = 1;
            for (size_t p = 0; p < n; p++)
                for (size_t q = 0; q < n; q++)
                    for (size_t l = 0; l < n; l++) d(i * rows + j, p * n + q) += x(p, l) * y(l, q);
        }
    return d;
}

// min over C of |P C - D|^2 + 1e-6 |C|^2, with P, D and the residual written out.
long double matmul_formula(size_t n, size_t k, const Matrix &d, const Point &x) {
    const size_t rows = n * n;
    const long double *a = x.data(), *b = a + rows * k;
    Matrix p(rows * rows, k), gram(k, k), right(k, rows);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < rows; j++)
            for (size_t c = 0; c < k; c++) p(i * rows + j, c) = a[i * k + c] * b[j * k + c];
    for (size_t r = 0; r < p.rows; r++)
        for (size_t c = 0; c < k; c++) {
            for (size_t e = 0; e < k; e++) gram(c, e) += p(r, c) * p(r, e);
            for (size_t o = 0; o < rows; o++) right(c, o) += p(r, c) * d(r, o);
        }
    for (size_t c = 0; c < k; c++) gram(c, c) += ridge;
    const Matrix solution = eliminate(gram, right);
    long double sum = 0;
    for (long double c : solution.a) sum += ridge * c * c;
    for (size_t r = 0; r < p.rows; r++)
        for (size_t o = 0; o < rows; o++) {
            long double e = -d(r, o);
            for (size_t c = 0; c < k; c++) e += p(r, c) * solution(c, o);
            sum += e * e;
        }
    return sum;
}

std::string spec(size_t n, size_t k) { return "matmul:n=" + std::to_string(n) + ",k=" + std::to_string(k); }

TEST(Matmul, IsTheFormulaForTwoByTwo) {
    const Matrix d = products_of_units(2);
    for (size_t k : {1u, 2u, 5u, 6u, 7u, 8u, 9u})
        for (uint64_t seed = 0; seed < 3; seed++) {
            Corpus c(spec(2, k));
            ASSERT_EQ(c.total, 8 * k);
            std::vector<float> x = c.start(seed);
            for (float grow : {1.0f, 0.05f, 40.0f}) {
                for (float &v : x) v *= grow;
                SCOPED_TRACE(spec(2, k) + " times " + std::to_string(grow));
                expect_formula(
                    c, [&](const Point &at) { return matmul_formula(2, k, d, at); }, x, 1e-6L * grow, 1e-6);
            }
        }
}

TEST(Matmul, IsTheFormulaForOtherSizes) {
    for (const auto &[n, k, every] :
         {std::tuple<size_t, size_t, size_t>{1, 1, 1}, {1, 3, 1}, {3, 19, 17}, {3, 24, 23}, {4, 10, 31}}) {
        const Matrix d = products_of_units(n);
        const size_t side = n, multiplications = k; // names that a lambda may capture
        Corpus c(spec(n, k));
        expect_formula(
            c, [&](const Point &at) { return matmul_formula(side, multiplications, d, at); }, c.start(3), 1e-6L, 1e-6, every);
    }
}

// A, B [4][7]; entries in the order 11, 12, 21, 22. Strassen, "Gaussian Elimination is not Optimal", Numerische Mathematik 13, 1969.
const std::vector<float> strassen = {
    // 1  2  3  4  5   6   7
    1, 0, 1, 0, 1, -1, 0, //
    0, 0, 0, 0, 1, 0, 1,  //
    0, 1, 0, 0, 0, 1, 0,  //
    1, 1, 0, 1, 0, 0, -1,
    // B
    1, 1, 0, -1, 0, 1, 0, //
    0, 0, 1, 0, 0, 1, 0,  //
    0, 0, 0, 1, 0, 0, 1,  //
    1, 0, -1, 0, 1, 0, 1};

// Columns `from` of an algorithm for n x n; SIZE_MAX: a column of zeros.
std::vector<float> columns(const std::vector<float> &x, size_t k, const std::vector<size_t> &from) {
    std::vector<float> y;
    for (size_t row = 0; row < x.size() / k; row++)
        for (size_t c : from) y.push_back(c == SIZE_MAX ? 0 : x[row * k + c]);
    return y;
}

TEST(Matmul, KnowsStrassensAlgorithm) {
    Corpus c(spec(2, 7)), six(spec(2, 6)), eight(spec(2, 8));
    const double f = c.full_loss(strassen);
    EXPECT_GT(f, 1e-6);
    EXPECT_LE(f, 12e-6); // the ridge's price of its 12 coefficients of size 1, an upper bound of the minimum
    EXPECT_LT(norm(c.full_gradient(strassen)), 1e-4);
    EXPECT_NEAR(c.full_loss(columns(strassen, 7, {6, 2, 0, 1, 5, 4, 3})), f, 1e-12);
    EXPECT_NEAR(eight.full_loss(columns(strassen, 7, {0, 1, 2, 3, 4, 5, 6, SIZE_MAX})), f, 1e-12);
    EXPECT_LT(eight.full_loss(columns(strassen, 7, {0, 1, 2, 3, 4, 5, 6, 6})), f); // two share a coefficient: a smaller price
    for (size_t gone = 0; gone < 7; gone++) {                                      // none of the seven can be left out
        std::vector<size_t> kept;
        for (size_t i = 0; i < 7; i++)
            if (i != gone) kept.push_back(i);
        EXPECT_GT(six.full_loss(columns(strassen, 7, kept)), 0.1);
    }
}

TEST(Matmul, KnowsTheStandardAlgorithm) {
    for (size_t n : {1u, 2u, 3u, 4u}) {
        const size_t k = n * n * n;
        Corpus c(spec(n, k));
        std::vector<float> x(c.total);
        for (size_t i = 0; i < n; i++)
            for (size_t l = 0; l < n; l++)
                for (size_t j = 0; j < n; j++) {
                    const size_t column = (i * n + l) * n + j;
                    x[(i * n + l) * k + column] = x[n * n * k + (l * n + j) * k + column] = 1;
                }
        // P has orthonormal columns, so that every coefficient is 1/(1 + ridge)
        EXPECT_NEAR(c.full_loss(x), double(double(k) * ridge / (1 + ridge)), 1e-12);
        EXPECT_LT(norm(c.full_gradient(x)), 1e-4);
        EXPECT_NEAR(c.full_loss(std::vector<float>(c.total)), double(k), 1e-12); // nothing: all of D is missed
    }
}

TEST(Matmul, StaysInBoundsWhereColumnsDependOnEachOther) {
    for (const char *name : {"matmul:n=2,k=8", "matmul:n=3,k=24", "matmul:n=1,k=5"}) {
        Corpus c(name);
        const size_t k = c.task.p->term[0].instance.values.number[1], entries = c.total / 2 / k;
        auto expect_bounded = [&](const std::vector<float> &x) {
            double loss = NAN;
            for (float g : c.full_gradient(x, &loss)) EXPECT_TRUE(std::isfinite(g)) << name << " at " << x[0];
            for (float h : c.product(1, 1, x, direction(c.total, 2))) EXPECT_TRUE(std::isfinite(h)) << name << " at " << x[0];
            EXPECT_GE(loss, 0);
            EXPECT_LE(loss, double(entries) * std::sqrt(double(entries)) * (1 + 1e-9)) << name << " at " << x[0];
        };
        for (double size : {1e-20, 1e-3, 1.0, 1e3, 1e6, 1e12, 1e18}) {
            std::vector<float> x = c.start(1);
            for (size_t row = 0; row < 2 * entries; row++)
                for (size_t i = 0; i < k; i++) x[row * k + i] = float(size * x[row * k + i % 3]);
            expect_bounded(x);
        }
        expect_bounded(std::vector<float>(c.total, std::ldexp(1.0f, 40))); // no rounding: the second pivot is exactly 0
    }
}

TEST(Matmul, StartsWithColumnsOfUnitNorm) {
    for (size_t k : {5u, 8u})
        for (uint64_t seed = 0; seed < 20; seed++) {
            const std::vector<float> x = Corpus(spec(2, k)).start(seed);
            for (size_t tensor = 0; tensor < 2; tensor++)
                for (size_t column = 0; column < k; column++) {
                    double square = 0;
                    for (size_t i = 0; i < 4; i++) square += std::pow(x[(tensor * 4 + i) * k + column], 2);
                    EXPECT_NEAR(square, 1, 1e-6);
                }
            EXPECT_NE(x[0], x[4 * k]); // A and B differ
        }
}

TEST(Matmul, AdamFindsAlgorithms) {
    Corpus eight(spec(2, 8)), seven(spec(2, 7)), three(spec(3, 23));
    EXPECT_LT(adam_progress(eight, 0.01, 3000), 1e-3);
    EXPECT_LT(adam_progress(seven, 0.01, 3000), 0.02);
    EXPECT_LT(adam_progress(three, 0.01, 1000), 0.02);
}

} // namespace
