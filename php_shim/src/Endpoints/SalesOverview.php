<?php

declare(strict_types=1);

namespace Voxgate\Shim\Endpoints;

use Voxgate\Shim\Call;
use Voxgate\Shim\Endpoint;
use Voxgate\Shim\Result;
use Voxgate\Shim\SharedData;

/** Figures from a fixture, and said to be one. Legacy fields: `revenue`, `orders`, `topProducts`. */
final class SalesOverview implements Endpoint
{
    private const PERIOD = '30d';

    public function answer(Call $call): Result
    {
        $all = SharedData::load('sales_overview');
        $period = $call->query->period ?? self::PERIOD;
        $figures = $all->periods->{$period};
        $data = ['fixture' => $all->fixture, 'period' => $period, 'currency' => $all->currency, ...(array) $figures];
        return new Result($data, [
            'revenue' => $figures->revenue,
            'orders' => $figures->orders,
            'topProducts' => $figures->topProducts,
        ]);
    }
}
