//! Chassis_Template_Var: what `^NAME` stands for in matches and actions on each chassis, handed on as it is (ovn-nb(5)).

use crate::tables::Ctx;
use kiln_ovsdb::{Map, Text};
use kiln_schema_ovn::sb;
use kiln_types::Uuid;

/// Southbound rows by their chassis.
pub(crate) fn rows(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(standing) = ctx.row(&ctx.sb.chassis_template_var, row) else { return };
    out.push((standing.chassis().clone(), *row));
}

pub(crate) fn wanted(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, sb::ChassisTemplateVar)>) {
    let Some(vars) = ctx.row(&ctx.nb.chassis_template_var, row) else { return };
    let chassis = vars.chassis().clone();
    out.push((
        ctx.all(&ctx.template_var_rows, &chassis).first().copied().unwrap_or(*row),
        sb::ChassisTemplateVar { chassis, variables: Map::from_vec(vars.variables().all().to_vec()) },
    ));
}
