// Rows in planes as the reference computes them; part of kReferenceKernels.
#pragma once

#include "kernels.h"

namespace xnor {

void reference_to_planes(const PlanesRow& row);
void reference_from_planes(const PlanesRow& row);
void reference_plane_conv(const PlaneConvRow& row);
void reference_tap_sums(const TapSumsRow& row);
void reference_excite_kernel(const ExciteKernel& row);
void reference_excite(const ExciteRow& row);
void reference_contrast(const ContrastRow& row);
void reference_maximum(const MaximumRow& row);
void reference_basis_sums(const BasisSumsRow& row);
void reference_recombine(const RecombineRow& row);
void reference_raise(const RaiseRow& row);
void reference_attention(const AttentionRow& row);
void reference_attend(const AttendRow& row);

// e of A14.
float reference_exp_of_minus(float x);

}  // namespace xnor
