/*
 * The table of one CPU level, from the static functions that the including file has.
 * Define S3R_TABLE (its name), S3R_TABLE_LEVEL and S3R_TABLE_ROWS before including.
 */
const s3r_kernels S3R_TABLE = {
    .level = S3R_TABLE_LEVEL,
    .tile_rows = S3R_TABLE_ROWS,
    .tile_f32 = tile_f32,
    .tile_bf16 = tile_bf16,
    .pack_transposed_f32 = pack_transposed_f32,
    .pack_transposed_bf16 = pack_transposed_bf16,
    .pack_plain_f32 = pack_plain_f32,
    .pack_plain_bf16 = pack_plain_bf16,
    .f32_to_bf16 = f32_to_bf16,
    .transpose_f32 = transpose_f32,
    .transpose_bf16 = transpose_bf16,
    .gelu = gelu,
    .gelu_grad = gelu_grad,
    .exp_sum = exp_sum,
    .max = max_of,
    .sum = sum,
    .sum_squares = sum_squares,
    .dot = dot,
    .scale_shift = scale_shift,
    .axpy = axpy,
    .mul = mul,
    .norm_grad = norm_grad,
    .norm_weight_grad = norm_weight_grad,
    .affine = affine,
    .affine_grad = affine_grad,
    .column_sums = column_sums,
    .dropout = dropout,
};
